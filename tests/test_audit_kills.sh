#!/bin/sh
# No honest log is called changed, whenever its writer was killed.
#
# SPDX-License-Identifier: ISC
exec tests/audit_kills "${POPKEEP_LOGS:-250}"
