#!/bin/sh
# Every change of a log before its last seal is found: of $TAMPERS changes.
#
# SPDX-License-Identifier: ISC
exec tests/audit_tamper "${TAMPERS:-100000}" 10000
