#!/bin/sh
# Every change of a log before its last seal is found.
#
# SPDX-License-Identifier: ISC
exec tests/audit_tamper 100000 10000
