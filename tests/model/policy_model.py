"""What becomes of a message: the policy once more, as simple as can be.

Written from the specification alone and kept apart from engine/decide.c on
purpose: where the two disagree, one of them is wrong.  Slow and naive; do not
make it share the C code's ideas.

SPDX-License-Identifier: ISC
"""
from collections import namedtuple
from math import inf

NEVER = 2 ** 63 - 1

# Every member is an integer, in the order in which tests/decide_cases reads
# them.  Times and durations are seconds; occasion and unread_from are below.
Case = namedtuple("Case", """
    has_rule after_download after_delivery unread unread_from minimum
    unconfirmed_limit effective_from rule_dry_run braked
    holds held_until file_dry_run clock_brake
    delivered facts_since facts_lost downloaded read unconfirmed
    unconfirmed_last
    occasion dele just_downloaded top_whole now""")

FIRST_SEEN, DELIVERY = 0, 1
QUIT, SWEEP, RETAINED = 0, 1, 2

Answer = namedtuple("Answer", "verdict reason cause would would_reason changes")


def added(time, duration):
    """The instant so long after a time that is known; else it never comes."""
    if time is None or time >= NEVER or duration >= NEVER:
        return inf
    return inf if time + duration >= NEVER else time + duration


def known(time):
    """A fact's time; what is not positive is not known."""
    return time if time > 0 else None


def download_times(case):
    """When the message was, or counts as, downloaded; None: nobody knows."""
    times = [case.downloaded] if case.downloaded > 0 else []
    if case.occasion == QUIT and case.just_downloaded:
        times.append(case.now)
    if 0 < case.unconfirmed_limit <= case.unconfirmed:
        times.append(known(case.unconfirmed_last))
    return times


def was_read(case):
    if case.occasion == QUIT and case.top_whole:
        return True
    return case.read != 0 or case.downloaded != 0 or download_times(case) != []


def unread_begins(case):
    if case.delivered <= 0:
        return None
    if case.unread_from == DELIVERY and not case.facts_lost:
        return case.delivered
    if case.facts_since <= 0:
        return None
    return max(case.delivered, case.facts_since)


def limits(case):
    """(instant, order, name) of each limit of the rule."""
    found = [(added(t, case.after_download), 1, "after-download")
             for t in download_times(case)]
    found.append((added(known(case.delivered), case.after_delivery), 2,
                  "after-delivery"))
    if not was_read(case):
        found.append((added(unread_begins(case), case.unread), 3, "unread"))
    return found


def in_effect(case, time):
    start = inf if case.effective_from >= NEVER else case.effective_from
    return start == 0 or start <= time


def judge(case, time, pretend):
    """(verdict, reason, cause) at that time; pretend that the rule acts."""
    dry = case.rule_dry_run or case.file_dry_run or not in_effect(case, time)
    brake = case.braked or case.clock_brake
    protected_by_rule = case.has_rule and (pretend or not dry)
    disposes = case.has_rule and (pretend or not (dry or brake))

    shields = []
    if case.holds > 0:
        if case.held_until >= NEVER or time < case.held_until:
            shields.append("hold")
    if protected_by_rule and case.minimum > 0:
        if not added(known(case.delivered), case.minimum) <= time:
            shields.append("minimum")

    if case.occasion == RETAINED:
        if shields:
            return "keep", shields[0], "none"
        if pretend:
            return "dispose", "released", "none"
        if case.file_dry_run or case.clock_brake:
            return "keep", "none", "none"
        if case.has_rule and not disposes:
            return "keep", "none", "none"
        return "dispose", "released", "none"

    wishes = []
    if case.occasion == QUIT and case.dele:
        wishes.append("dele")
    if disposes:
        wishes += [name for instant, _, name in sorted(limits(case))
                   if instant <= time]
    if not wishes:
        return "keep", "none", "none"
    if shields:
        return "retain", shields[0], wishes[0]
    return "dispose", wishes[0], wishes[0]


def instants(case):
    """Every instant at which anything could possibly happen."""
    times = [case.delivered, case.facts_since, case.downloaded, case.now,
             case.unconfirmed_last]
    durations = [0, case.minimum, case.after_download, case.after_delivery,
                 case.unread]
    return ({case.effective_from, case.held_until} |
            {t + d for t in times for d in durations})


def changes(case, verdict):
    for time in sorted(instants(case)):
        if case.now < time < NEVER and \
                judge(case, time, False)[0] != verdict:
            return time
    return NEVER


def decide(case):
    verdict, reason, cause = judge(case, case.now, False)
    would, would_reason, would_cause = judge(case, case.now, True)
    if would == verdict:
        would_reason = reason
    if cause == "none":
        cause = would_cause
    return Answer(verdict, reason, cause, would, would_reason,
                  changes(case, verdict))
