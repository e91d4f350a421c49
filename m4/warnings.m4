# PK_WARNINGS: warnings and hardening for every object, in WARN_CFLAGS and
# HARDEN_CFLAGS, HARDEN_LDFLAGS.
AC_DEFUN([PK_WARNINGS], [
AC_ARG_ENABLE([werror],
    [AS_HELP_STRING([--enable-werror], [warnings are errors])])
WARN_CFLAGS="-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
-Wold-style-definition -Wpointer-arith -Wwrite-strings -Wvla \
-Wswitch-enum -Wformat=2 -Wundef"
AS_IF([test "x$enable_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
HARDEN_CFLAGS="-fstack-protector-strong -fvisibility=hidden"
HARDEN_LDFLAGS="-Wl,-z,relro -Wl,-z,now"
AS_IF([test "x$enable_sanitizers" = xyes], [
    HARDEN_CFLAGS="$HARDEN_CFLAGS -fsanitize=address,undefined \
-fno-sanitize-recover=undefined -fno-omit-frame-pointer"
    # PAM modules call crypt(3), which AddressSanitizer must have seen first.
    HARDEN_LDFLAGS="-fsanitize=address,undefined -Wl,--push-state,--no-as-needed \
-lcrypt -Wl,--pop-state"
    enable_seccomp=no
], [test "x$enable_coverage" = xyes], [
    HARDEN_CFLAGS="$HARDEN_CFLAGS --coverage -O0"
    HARDEN_LDFLAGS="--coverage"
], [
    HARDEN_CFLAGS="$HARDEN_CFLAGS -D_FORTIFY_SOURCE=2"
])
AC_SUBST([WARN_CFLAGS])
AC_SUBST([HARDEN_CFLAGS])
AC_SUBST([HARDEN_LDFLAGS])
])
