"""popkeepd and Dovecot with the plugin: the same mailbox, rule, holds, session
and clock leave the same messages in the same places, for the same reasons.

What may differ is in the README, POPKEEPD AND DOVECOT; parity.py has the rest.
$POPKEEP_SCENARIOS is how many (2000 is the whole), $POPKEEP_SEED which.

SPDX-License-Identifier: ISC
"""
import os
import random
import signal

import parity
from lib import check, needs_dovecot, test


@test
def scenarios():
    """random scenarios end alike in popkeepd and in Dovecot"""
    needs_dovecot()
    if "POPKEEP_SCENARIOS" in os.environ:
        signal.alarm(0)			# as long as it takes
    seed = os.environ.get("POPKEEP_SEED") or str(
        random.SystemRandom().randrange(10 ** 6))
    print("POPKEEP_SEED=%s" % seed)
    differ = parity.run(seed, int(os.environ.get("POPKEEP_SCENARIOS", 150)),
                        users=150)
    check(differ == 0, "%d scenarios differ" % differ)
