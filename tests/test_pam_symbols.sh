#!/bin/sh
# pam_apop.so shows pam_sm_authenticate and pam_sm_setcred, and nothing else.
module=${PAM_APOP:-pam/.libs/pam_apop.so}
shown=$(nm -D --defined-only "$module" | awk '{ print $3 }' |
    sed 's/@.*//' | sort | tr '\n' ' ') || exit 99
if [ "$shown" != "pam_sm_authenticate pam_sm_setcred " ]; then
	echo "$module shows: $shown"
	exit 1
fi
