/*
 * Dicts for the tests of facts: see facts_fixture.h.
 *
 * SPDX-License-Identifier: ISC
 */
#include "facts_fixture.h"
#include "array.h"
#include "dict-private.h"
#include "ioloop.h"
#include "unlink-directory.h"
#ifdef PK_DOVECOT_DICT_INIT_AUTO
#  include "settings.h"
#endif

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct dict_counts counts;
struct dict_faults faults;

static char directory[] = "/tmp/popkeep-facts-XXXXXX";
static struct ioloop *ioloop;
static pid_t redis_pid;

/* ---- the library -------------------------------------------------------- */

static void log_line(const struct failure_context *ctx, const char *format,
		     va_list args)
{
	counts.warnings++;
	printf("# logged (%d): ", (int)ctx->type);
	vprintf(format, args);
	printf("\n");
}

int fixture_begin(void **state)
{
	(void)state;
	/* As in all processes of Dovecot. */
	(void)signal(SIGPIPE, SIG_IGN);
	lib_init();
	i_set_error_handler(log_line);
	ioloop = io_loop_create();
	dict_drivers_register_builtin();
	return 0;
}

int fixture_end(void **state)
{
	(void)state;
	dict_drivers_unregister_builtin();
	io_loop_destroy(&ioloop);
	lib_deinit();
	return 0;
}

const char *fixture_path(const char *name)
{
	return t_strconcat(directory, "/", name, NULL);
}

void fixture_count(void)
{
	i_zero(&counts);
	i_zero(&faults);
}

/* ---- dicts -------------------------------------------------------------- */

#ifdef PK_DOVECOT_DICT_INIT_AUTO
typedef const char *const *found_t;
/* They must outlive the dicts. */
static struct settings_simple settings[64];
static unsigned int settings_count;

static struct dict *open_dict(const char *driver, const char *path)
{
	const char *const set[] = {
		"dict", driver,
		t_strdup_printf("dict/%s/dict_driver", driver), driver,
		"dict_file_path", path,
		"redis_socket_path", path,
		NULL
	};
	struct dict *dict;
	const char *error;

	assert_true(settings_count < N_ELEMENTS(settings));
	settings_simple_init(&settings[settings_count], set);
	if (dict_init_auto(settings[settings_count++].event, &dict,
			   &error) <= 0)
		fail_msg("%s", error);
	return dict;
}

static void settings_done(void)
{
	while (settings_count > 0)
		settings_simple_deinit(&settings[--settings_count]);
}
#else
typedef const char *found_t;

static struct dict *open_dict(const char *driver, const char *path)
{
	const struct dict_settings set = { .base_dir = directory };
	struct dict *dict;
	const char *error;

	if (dict_init(t_strconcat(driver, strcmp(driver, "file") == 0 ? ":" :
				  ":path=", path, NULL), &set, &dict,
		      &error) < 0)
		fail_msg("%s", error);
	return dict;
}

static void settings_done(void)
{
}
#endif

/* What the driver does; the same for all dicts of a test. */
static struct dict_vfuncs driver_v;

static int counted_lookup(struct dict *dict,
			  const struct dict_op_settings *set, pool_t pool,
			  const char *key, found_t *value_r,
			  const char **error_r)
{
	if ((int)++counts.lookups == faults.fail_lookup) {
		*error_r = "made to fail";
		return -1;
	}
	return driver_v.lookup(dict, set, pool, key, value_r, error_r);
}

static struct dict_iterate_context *
counted_iterate_init(struct dict *dict, const struct dict_op_settings *set,
		     const char *path, enum dict_iterate_flags flags)
{
	counts.iterations++;
	return driver_v.iterate_init(dict, set, path, flags);
}

static bool counted_iterate(struct dict_iterate_context *ctx,
			    const char **key_r, const char *const **values_r)
{
	if (faults.fail_iterate && ctx->row_count > 0)
		return FALSE;
	return driver_v.iterate(ctx, key_r, values_r);
}

static int counted_iterate_deinit(struct dict_iterate_context *ctx,
				  const char **error_r)
{
	int ret = driver_v.iterate_deinit(ctx, error_r);

	if (!faults.fail_iterate)
		return ret;
	*error_r = "made to fail";
	return -1;
}

static struct dict_transaction_context *counted_begin(struct dict *dict)
{
	counts.commits++;
	return driver_v.transaction_init(dict);
}

/* Lookups that nobody has waited for yet. */
static struct pending {
	struct dict_op_settings set;
	char *key;
	dict_lookup_callback_t *callback;
	void *context;
} pending[1024];
static unsigned int pending_count;

static void late_lookup(struct dict *dict, const struct dict_op_settings *set,
			const char *key, dict_lookup_callback_t *callback,
			void *context)
{
	(void)dict;
	assert_true(pending_count < N_ELEMENTS(pending));
	pending[pending_count++] = (struct pending)
	    { *set, i_strdup(key), callback, context };
	counts.most_pending = I_MAX(counts.most_pending, pending_count);
}

/* The last one is answered first: nobody promises an order. */
static void answer_late(struct dict *dict)
{
	while (pending_count > 0) {
		struct pending *p = &pending[--pending_count];
		struct dict_lookup_result result = { .ret = 0 };
		const char *values[2] = { NULL, NULL };
		found_t found;

		result.ret = counted_lookup(dict, &p->set,
			pool_datastack_create(), p->key, &found,
			&result.error);
		if (result.ret > 0) {
#ifdef PK_DOVECOT_DICT_INIT_AUTO
			values[0] = found[0];
#else
			values[0] = found;
#endif
		}
		result.value = values[0];
		result.values = values;
		p->callback(&result, p->context);
		i_free(p->key);
	}
}

static void counted_wait(struct dict *dict)
{
	counts.waits++;
	answer_late(dict);
	if (driver_v.wait != NULL)
		driver_v.wait(dict);
}

struct popkeep_facts *facts_of(const char *driver, const char *name)
{
	struct dict *dict = open_dict(driver, fixture_path(name));
	struct dict_op_settings set = { .username = "ann" };
	struct event *event = event_create(NULL);
	struct popkeep_facts *facts;

	driver_v = dict->v;
	dict->v.lookup = counted_lookup;
	if (driver_v.iterate_init != NULL) {
		dict->v.iterate_init = counted_iterate_init;
		dict->v.iterate = counted_iterate;
		dict->v.iterate_deinit = counted_iterate_deinit;
	}
	dict->v.transaction_init = counted_begin;
	dict->v.wait = counted_wait;
	if (faults.late)
		dict->v.lookup_async = late_lookup;
	facts = popkeep_facts_init_dict(dict, &set, event);
	event_unref(&event);
	return facts;
}

void fixture_write(const char *driver, const char *name, const char *key,
		   const char *value)
{
	struct dict *dict = open_dict(driver, fixture_path(name));
	struct dict_op_settings set = { .username = "ann" };
	struct dict_transaction_context *trans;

	trans = dict_transaction_begin(dict, &set);
	dict_set(trans, key, value);
	dict_transaction_commit_async_nocallback(&trans);
	dict_wait(dict);
	dict_deinit(&dict);
}

/* ---- facts -------------------------------------------------------------- */

const char *const *guids_from(unsigned int first, unsigned int count)
{
	const char **guids = t_new(const char *, count + 1);
	unsigned int i;

	for (i = 0; i < count; i++)
		guids[i] = t_strdup_printf("1700000000.M%uP7_1.host,S=9,W=9",
					   first + i);
	return guids;
}

struct popkeep_fact fact_number(unsigned int n)
{
	return (struct popkeep_fact){
		.seen = NOW + n, .downloaded = NOW + 2 * n + 1,
		.read = NOW + 3 * n + 2, .unconfirmed = n + 1,
		.unconfirmed_last = NOW + 4 * n + 3,
	};
}

void assert_fact(const struct popkeep_fact *fact,
		 const struct popkeep_fact *expected)
{
	assert_int_equal(fact->seen, expected->seen);
	assert_int_equal(fact->downloaded, expected->downloaded);
	assert_int_equal(fact->read, expected->read);
	assert_int_equal(fact->unconfirmed, expected->unconfirmed);
	assert_int_equal(fact->unconfirmed_last, expected->unconfirmed_last);
}

void set_numbers(struct popkeep_facts *facts, unsigned int first,
		 unsigned int count)
{
	const char *const *guids = guids_from(first, count);
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct popkeep_fact fact = fact_number(first + i);

		popkeep_facts_set(facts, guids[i], &fact);
	}
}

void assert_numbers(struct popkeep_facts *facts, unsigned int first,
		    unsigned int count)
{
	const char *const *guids = guids_from(first, count);
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct popkeep_fact fact = fact_number(first + i);

		assert_fact(popkeep_facts_get(facts, guids[i]), &fact);
	}
}

void assert_nothing(struct popkeep_facts *facts, unsigned int first,
		    unsigned int count)
{
	const struct popkeep_fact nothing = { .seen = 0 };
	const char *const *guids = guids_from(first, count);
	unsigned int i;

	for (i = 0; i < count; i++)
		assert_fact(popkeep_facts_get(facts, guids[i]), &nothing);
}

void must_load(struct popkeep_facts *facts, unsigned int first,
	       unsigned int count)
{
	const char *error;

	if (popkeep_facts_load(facts, guids_from(first, count), count, NOW,
			       &error) < 0)
		fail_msg("load: %s", error);
}

void must_commit(struct popkeep_facts *facts)
{
	const char *error;

	if (popkeep_facts_commit(facts, &error) < 0)
		fail_msg("commit: %s", error);
}

/* ---- Redis -------------------------------------------------------------- */

static void redis_run(void)
{
	const char *path = fixture_path("redis");

	/* With the test, however that ends. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)execlp("redis-server", "redis-server", "--port", "0",
		     "--unixsocket", path, "--dir", directory, "--save", "",
		     "--daemonize", "no", "--logfile",
		     fixture_path("redis.log"), (char *)NULL);
	_exit(127);
}

static bool redis_answers(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool yes;

	(void)i_strocpy(sun.sun_path, fixture_path("redis"),
			sizeof(sun.sun_path));
	yes = connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0;
	(void)close(fd);
	return yes;
}

bool redis_start(void)
{
	unsigned int i;
	int status;

	redis_pid = fork();
	if (redis_pid == 0)
		redis_run();
	for (i = 0; i < 2000; i++) {
		if (redis_answers())
			return true;
		if (waitpid(redis_pid, &status, WNOHANG) == redis_pid) {
			redis_pid = 0;
			return false;
		}
		(void)usleep(10000);
	}
	fail_msg("redis-server is not there after 20 s");
	return false;
}

void redis_stop(void)
{
	if (redis_pid <= 0)
		return;
	(void)kill(redis_pid, SIGTERM);
	(void)waitpid(redis_pid, NULL, 0);
	redis_pid = 0;
}

/* ---- a test ------------------------------------------------------------- */

int fixture_setup(void **state)
{
	(void)state;
	fixture_count();
	strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	return mkdtemp(directory) == NULL ? -1 : 0;
}

int fixture_teardown(void **state)
{
	const char *error;

	(void)state;
	redis_stop();
	settings_done();
	return unlink_directory(directory, UNLINK_DIRECTORY_FLAG_RMDIR,
				&error) < 0 ? -1 : 0;
}
