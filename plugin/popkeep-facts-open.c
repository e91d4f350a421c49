/*
 * Which dict the facts of a user are in: see popkeep-facts.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-facts.h"
#include "dict.h"
#include "mail-user.h"

#include "popkeep-settings.h"

#ifdef PK_DOVECOT_DICT_INIT_AUTO

#include "settings.h"

/* 0: this filter has no dict. */
static int open_filter(struct mail_user *user, const char *filter,
		       struct dict **dict_r, const char **error_r)
{
	struct event *event = event_create(user->event);
	int ret;

	settings_event_add_filter_name(event, filter);
	ret = dict_init_auto(event, dict_r, error_r);
	event_unref(&event);
	return ret;
}

static int open_dict(struct mail_user *user,
		     const struct popkeep_settings *set ATTR_UNUSED,
		     struct dict **dict_r, const char **error_r)
{
	int ret = open_filter(user, POPKEEP_FACTS, dict_r, error_r);

	if (ret == 0)
		ret = open_filter(user, POPKEEP_FACTS_DEFAULT, dict_r, error_r);
	return ret > 0 ? 0 : -1;
}

#else

#define DEFAULT_URI "file:~/popkeep.facts"

static int open_dict(struct mail_user *user,
		     const struct popkeep_settings *set, struct dict **dict_r,
		     const char **error_r)
{
	struct dict_settings dict_set;
	const char *home, *uri = set->popkeep_facts;

	if (uri[0] == '\0') {
		if (mail_user_get_home(user, &home) <= 0) {
			*error_r = "the user has no home directory, and "
				"popkeep_facts is not set";
			return -1;
		}
		uri = DEFAULT_URI;
	}
	i_zero(&dict_set);
	dict_set.base_dir = user->set->base_dir;
	dict_set.event_parent = user->event;
	return dict_init(uri, &dict_set, dict_r, error_r);
}

#endif

int popkeep_facts_init(struct mail_user *user,
		       const struct popkeep_settings *set,
		       struct popkeep_facts **facts_r, const char **error_r)
{
	struct dict *dict;

	if (open_dict(user, set, &dict, error_r) < 0)
		return -1;
	*facts_r = popkeep_facts_init_dict(dict,
		mail_user_get_dict_op_settings(user), user->event);
	return 0;
}
