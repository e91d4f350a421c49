/*
 * popkeep secret: the shared secrets for APOP.  A secret comes from a terminal
 * or a descriptor, never from the arguments or the environment.
 *
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sys/random.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "engine/username.h"
#include "pam/secrets.h"
#include "standalone/lines.h"
#include "standalone/secret_cmd.h"
#include "standalone/secret_import.h"
#include "standalone/tool.h"

#define GENERATED_LENGTH 32

struct args {
	const char *store;
	const char *key;
	struct pk_username_rules rules;
	enum pk_import_format format;
	size_t length;
	const char *operand;		/* USER or FILE as given */
	char user[PK_USERNAME_SIZE];	/* canonical */
};

/* Options that only one subcommand has. */
enum {
	OPTION_LENGTH = 1,
	OPTION_FORMAT = 2,
};

struct subcommand {
	const char *name;
	const char *operand;		/* NULL: takes none */
	enum pk_secrets_mode mode;
	int options;
	int (*run)(struct pk_secrets *, const struct args *);
};

static const struct option long_options[] = {
	{ "store", required_argument, NULL, 's' },
	{ "key", required_argument, NULL, 'k' },
	{ "fold", no_argument, NULL, 'f' },
	{ "detail", required_argument, NULL, 'd' },
	{ "default-domain", required_argument, NULL, 'D' },
	{ "length", required_argument, NULL, 'l' },
	{ "format", required_argument, NULL, 'F' },
	{ NULL, 0, NULL, 0 }
};

static int
complain(const char *user, const char *text)
{
	fprintf(stderr, "popkeep: user %s: %s\n", user, text);
	return PK_EXIT_FAILED;
}

/* What went wrong with the store, for one user. */
static int
report(enum pk_err err, const char *user)
{
	switch (err) {
	case PK_OK:
		return PK_EXIT_OK;
	case PK_ERR_NOTFOUND:
		return complain(user, "has no secret");
	case PK_ERR_CRYPTO:
		return complain(user, "the secret cannot be sealed");
	case PK_ERR_SYNTAX:
	case PK_ERR_NOMEM:
	case PK_ERR_LIMIT:
	case PK_ERR_IO:
		break;
	}
	return complain(user, strerror(errno));
}

static int
store_secret(struct pk_secrets *store, const char *user, struct pk_span secret)
{
	const char *fault;
	int status;

	fault = pk_secret_fault(secret);
	if (fault != NULL)
		return complain(user, fault);
	status = report(pk_secrets_set(store, user, secret), user);
	if (status == PK_EXIT_OK && secret.len < PK_SECRET_SHORT)
		fprintf(stderr, "popkeep: user %s: warning: the secret is "
		    "shorter than %d octets: longer ones are harder to guess\n",
		    user, PK_SECRET_SHORT);
	return status;
}

/* Why there is no line, for a person. */
static const char *
line_fault(enum pk_line line)
{
	switch (line) {
	case PK_LINE_OK:
		break;
	case PK_LINE_END:
		return "no secret was given";
	case PK_LINE_LONG:
		return "the secret is longer than 255 octets";
	case PK_LINE_ERROR:
		return strerror(errno);
	}
	return NULL;
}

/* Twice the same, from a terminal. */
static int
set_from_terminal(struct pk_secrets *store, const char *user,
    struct pk_lines *lines)
{
	uint8_t first[PK_SECRET_MAX];
	struct pk_span span, copy = { first, 0 };
	const char *fault;
	int status;

	fault = line_fault(pk_lines_prompt(lines, "Secret: ", &span));
	if (fault == NULL)
		fault = pk_secret_fault(span);
	if (fault != NULL)
		return complain(user, fault);
	memcpy(first, span.data, span.len);
	copy.len = span.len;
	fault = line_fault(pk_lines_prompt(lines, "Again: ", &span));
	if (fault == NULL && (span.len != copy.len ||
	    CRYPTO_memcmp(span.data, first, span.len) != 0))
		fault = "the two are not the same; nothing was changed";
	if (fault != NULL)
		status = complain(user, fault);
	else
		status = store_secret(store, user, copy);
	OPENSSL_cleanse(first, sizeof(first));
	return status;
}

/* One line: more of them are a mistake, like a whole file. */
static int
set_from_file(struct pk_secrets *store, const char *user,
    struct pk_lines *lines)
{
	uint8_t first[PK_SECRET_MAX];
	struct pk_span span, copy = { first, 0 };
	const char *fault;
	int status;

	fault = line_fault(pk_lines_next(lines, &span));
	if (fault == NULL)
		fault = pk_secret_fault(span);
	if (fault != NULL)
		return complain(user, fault);
	memcpy(first, span.data, span.len);
	copy.len = span.len;
	if (pk_lines_next(lines, &span) == PK_LINE_END)
		status = store_secret(store, user, copy);
	else
		status = complain(user, "expected one line with the secret");
	OPENSSL_cleanse(first, sizeof(first));
	return status;
}

static int
run_set(struct pk_secrets *store, const struct args *args)
{
	struct pk_lines lines;
	int status;

	pk_lines_init(&lines, STDIN_FILENO);
	if (isatty(STDIN_FILENO))
		status = set_from_terminal(store, args->user, &lines);
	else
		status = set_from_file(store, args->user, &lines);
	pk_lines_deinit(&lines);
	return status;
}

/* Letters and digits; an octet beyond the last multiple of 62 is not used. */
static bool
random_secret(uint8_t *out, size_t len)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789";
	const size_t letters = sizeof(alphabet) - 1;
	uint8_t octet;
	size_t done = 0;

	while (done < len) {
		if (getrandom(&octet, 1, 0) != 1)
			return false;
		if (octet < 256 / letters * letters)
			out[done++] = (uint8_t)alphabet[octet % letters];
	}
	OPENSSL_cleanse(&octet, sizeof(octet));
	return true;
}

static bool
write_all(const uint8_t *data, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(STDOUT_FILENO, data, len);
		if (n == -1)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static int
run_generate(struct pk_secrets *store, const struct args *args)
{
	uint8_t secret[PK_SECRET_MAX + 1];
	struct pk_span span = { secret, args->length };
	int status;

	if (!random_secret(secret, span.len))
		return complain(args->user, strerror(errno));
	status = store_secret(store, args->user, span);
	secret[span.len] = '\n';
	if (status == PK_EXIT_OK && !write_all(secret, span.len + 1))
		status = complain(args->user, "has a new secret, which could "
		    "not be shown: generate again");
	OPENSSL_cleanse(secret, sizeof(secret));
	return status;
}

static int
run_delete(struct pk_secrets *store, const struct args *args)
{
	return report(pk_secrets_delete(store, args->user), args->user);
}

static bool
print_name(const char *user, void *arg)
{
	(void)arg;
	return puts(user) != EOF;
}

static int
run_list(struct pk_secrets *store, const struct args *args)
{
	(void)args;
	if (pk_secrets_each(store, print_name, NULL) != PK_OK ||
	    ferror(stdout)) {
		fprintf(stderr, "popkeep: list: %s\n", strerror(errno));
		return PK_EXIT_FAILED;
	}
	return PK_EXIT_OK;
}

static int
run_import(struct pk_secrets *store, const struct args *args)
{
	const char *name = args->operand;
	bool is_stdin = strcmp(name, "-") == 0, ok;
	int fd = STDIN_FILENO;

	if (!is_stdin) {
		fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd == -1) {
			fprintf(stderr, "popkeep: %s: %s\n", name,
			    strerror(errno));
			return PK_EXIT_FAILED;
		}
	}
	ok = pk_secret_import(store, &args->rules, args->format, fd,
	    is_stdin ? "standard input" : name);
	if (!is_stdin)
		close(fd);
	return ok ? PK_EXIT_OK : PK_EXIT_FAILED;
}

static const struct subcommand subcommands[] = {
	{ "set", "USER", PK_SECRETS_WRITE, 0, run_set },
	{ "generate", "USER", PK_SECRETS_WRITE, OPTION_LENGTH, run_generate },
	{ "delete", "USER", PK_SECRETS_WRITE, 0, run_delete },
	{ "list", NULL, PK_SECRETS_READ, 0, run_list },
	{ "import", "FILE", PK_SECRETS_WRITE, OPTION_FORMAT, run_import },
};

static int
usage(FILE *to, int status)
{
	fputs("usage: popkeep secret set [OPTION...] USER\n"
	    "       popkeep secret generate [--length N] [OPTION...] USER\n"
	    "       popkeep secret delete [OPTION...] USER\n"
	    "       popkeep secret list [OPTION...]\n"
	    "       popkeep secret import [--format auto|passwd|plain] "
	    "[OPTION...] FILE|-\n"
	    "options: --store FILE, --key FILE, --fold, --detail CHAR, "
	    "--default-domain NAME\n", to);
	return status;
}

static bool
parse_length(const char *text, size_t *length_r)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
	    n < PK_SECRET_SHORT || n > PK_SECRET_MAX)
		return false;
	*length_r = n;
	return true;
}

/* false: not an option, or not a value that it takes. */
static bool
take_option(int option, const char *value, int allowed, struct args *args)
{
	switch (option) {
	case 's':
		args->store = value;
		return true;
	case 'k':
		args->key = value;
		return true;
	case 'f':
		args->rules.fold = true;
		return true;
	case 'd':
		args->rules.detail = value[0];
		return value[0] != '\0' && value[1] == '\0';
	case 'D':
		args->rules.default_domain = value;
		return value[0] != '\0';
	case 'l':
		return (allowed & OPTION_LENGTH) != 0 &&
		    parse_length(value, &args->length);
	case 'F':
		return (allowed & OPTION_FORMAT) != 0 &&
		    pk_import_format(value, &args->format);
	default:
		return false;
	}
}

/* An operand too many is not shown: it may be a secret. */
static bool
parse_args(const struct subcommand *sub, int argc, char **argv,
    struct args *args)
{
	int operands = sub->operand == NULL ? 0 : 1, option;

	memset(args, 0, sizeof(*args));
	args->store = PK_SECRETS_STORE;
	args->key = PK_SECRETS_KEY;
	args->length = GENERATED_LENGTH;
	opterr = 0;
	optind = 0;		/* begin anew (glibc) */
	while ((option = getopt_long(argc, argv, ":", long_options, NULL)) !=
	    -1)
		if (!take_option(option, optarg, sub->options, args)) {
			fprintf(stderr, "popkeep: secret %s: wrong option or "
			    "value (--length is from %d to %d)\n", sub->name,
			    PK_SECRET_SHORT, PK_SECRET_MAX);
			return false;
		}
	if (argc - optind != operands) {
		fprintf(stderr, "popkeep: secret %s: expected %s%s\n",
		    sub->name, operands == 0 ? "no operand" : "one ",
		    operands == 0 ? "" : sub->operand);
		return false;
	}
	args->operand = argv[optind];
	return true;
}

static bool
canonical_user(struct args *args)
{
	struct pk_span name = { (const uint8_t *)args->operand,
	    strlen(args->operand) };
	enum pk_err err;

	err = pk_username_canonical(&args->rules, name, args->user);
	if (err != PK_OK)
		fprintf(stderr, "popkeep: USER: %s\n", pk_username_fault(err));
	return err == PK_OK;
}

static int
run(const struct subcommand *sub, struct args *args)
{
	char why[PK_SECRETS_WHY];
	struct pk_secrets *store;
	int status;

	if (sub->operand != NULL && strcmp(sub->operand, "USER") == 0 &&
	    !canonical_user(args))
		return PK_EXIT_USAGE;
	store = pk_secrets_open(args->store, args->key, sub->mode, why);
	if (store == NULL) {
		fprintf(stderr, "popkeep: %s\n", why);
		return PK_EXIT_FAILED;
	}
	status = sub->run(store, args);
	pk_secrets_close(&store);
	if (fflush(stdout) == EOF) {
		fprintf(stderr, "popkeep: standard output: %s\n",
		    strerror(errno));
		status = PK_EXIT_FAILED;
	}
	return status;
}

int
pk_secret_command(int argc, char **argv)
{
	const struct subcommand *sub;
	struct args args;
	size_t i;

	for (i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
		sub = &subcommands[i];
		if (argc < 1 || strcmp(argv[0], sub->name) != 0)
			continue;
		if (!parse_args(sub, argc, argv, &args))
			return usage(stderr, PK_EXIT_USAGE);
		return run(sub, &args);
	}
	if (argc == 1 && strcmp(argv[0], "--help") == 0)
		return usage(stdout, PK_EXIT_OK);
	return usage(stderr, PK_EXIT_USAGE);
}
