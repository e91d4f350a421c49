#!/bin/sh
# The verdicts of engine/decide.c are those of the model in tests/model.
#
# SPDX-License-Identifier: ISC
if ! command -v python3 >/dev/null 2>&1; then
	echo "no python3: the model is written in it"
	exit 77
fi
exec python3 "$(dirname "$0")/model/run.py" tests/decide_cases
