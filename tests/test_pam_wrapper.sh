#!/bin/sh
# The PAM client under pam_wrapper, without privileges and without confdir.
dir=$(pkg-config --variable=modules pam_wrapper 2>/dev/null)
if [ ! -f "$dir/pam_matrix.so" ] || [ ! -f "$dir/../libpam_wrapper.so" ]; then
	echo "pam_wrapper is not installed"
	exit 77
fi
if nm ./tests/test_pam_client 2>/dev/null | grep -q __asan_init; then
	echo "AddressSanitizer does not go with LD_PRELOAD"
	exit 77
fi
services=$(mktemp -d) || exit 99
trap 'rm -rf "$services"' EXIT
echo ann:tanstaaf:matrix >"$services/passdb"
for type in auth account; do
	echo "$type required $dir/pam_matrix.so passdb=$services/passdb"
done >"$services/matrix"
LD_PRELOAD="$dir/../libpam_wrapper.so" PAM_WRAPPER=1 \
    PAM_WRAPPER_SERVICE_DIR="$services" ./tests/test_pam_client
