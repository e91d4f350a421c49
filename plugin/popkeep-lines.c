/*
 * The lines of a POP3 client before Dovecot reads them: CAPA and TOP are answered
 * by the rule, and what a line confirms is noted.
 *
 * A stream over the client's input shows the whole lines that are there up to one
 * that may be answered here, and reads only when no command is running: so
 * answers come in order, whatever was sent at once.
 *
 * SPDX-License-Identifier: ISC
 */
#include "popkeep-session.h"
#include "ioloop-private.h"
#include "istream-private.h"
#include "ostream.h"
#include "strnum.h"

#include "popkeep-user.h"

struct popkeep_istream {
	struct istream_private istream;
	struct popkeep_session *session;
};

/* ---- commands ----------------------------------------------------------- */

static bool handle_capa(struct popkeep_session *s, const char *args)
{
	if (s->capa == NULL || *args != '\0')
		return FALSE;
	client_send_line(s->client, "%s", s->capa);
	return TRUE;
}

static bool is_deleted(const struct client *client, uint32_t msgno)
{
	unsigned int i = msgno - 1;

	return client->deleted_bitmask != NULL &&
		(client->deleted_bitmask[i / CHAR_BIT] &
		 (1 << (i % CHAR_BIT))) != 0;
}

/*
 * More lines than the rule allows: only where the whole body has no more, so
 * that a client that fetches by "TOP n 99999999" is never given a part.  What
 * is wrong in other ways is Dovecot's to refuse.
 */
static bool handle_top(struct popkeep_session *s, const char *args)
{
	const char *const *arg = t_strsplit_spaces(args, " ");
	uint32_t msgno;
	uintmax_t lines;
	int ret;

	if (s->top == PK_TOP_ALLOW)
		return FALSE;
	if (s->top == PK_TOP_DENY) {
		client_send_line(s->client,
			"-ERR TOP is not available by policy");
		return TRUE;
	}
	if (str_array_length(arg) != 2 || str_to_uint32(arg[0], &msgno) < 0 ||
	    str_to_uintmax(arg[1], &lines) < 0 || lines <= s->top ||
	    msgno == 0 || msgno > s->client->messages_count ||
	    is_deleted(s->client, msgno))
		return FALSE;
	ret = popkeep_session_is_longer(s, msgno, s->top);
	if (ret > 0)
		client_send_line(s->client, "-ERR TOP is limited to %u lines "
				 "of the body by policy", s->top);
	else if (ret < 0)
		client_send_line(s->client,
			"-ERR [SYS/TEMP] The message cannot be read");
	return ret != 0;
}

static const struct command {
	const char *name;
	bool (*handle)(struct popkeep_session *s, const char *args);
} commands[] = {
	{ "CAPA", handle_capa },
	{ "TOP", handle_top },
};

/* A line that may be it; answer_line() looks closer. */
static bool is_named(const unsigned char *data, size_t len, const char *name)
{
	size_t name_len = strlen(name);

	return len > name_len &&
		strncasecmp((const char *)data, name, name_len) == 0 &&
		strchr(" \r\n", data[name_len]) != NULL;
}

/* NULL: the line, with its end, is none of ours. */
static const struct command *find_command(const unsigned char *data, size_t len)
{
	size_t i;

	for (i = 0; i < N_ELEMENTS(commands); i++) {
		if (is_named(data, len, commands[i].name))
			return &commands[i];
	}
	return NULL;
}

/* TRUE: the line was answered, and Dovecot must not see it. */
static bool answer_line(struct popkeep_session *s, const unsigned char *data,
			size_t len)
{
	const struct command *command = find_command(data, len);
	size_t name_len;

	while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
		len--;
	if (command == NULL || len > 255 || memchr(data, '\0', len) != NULL)
		return FALSE;
	name_len = strlen(command->name);
	if (len == name_len)
		return command->handle(s, "");
	return data[name_len] == ' ' && command->handle(s,
		t_strndup(data + name_len + 1, len - name_len - 1));
}

/* ---- the stream --------------------------------------------------------- */

/* What has left is asked before octets are read, never after. */
static ssize_t read_more(struct popkeep_istream *l)
{
	struct istream *parent = l->istream.parent;
	struct popkeep_session *s = l->session;
	ssize_t ret;

	if (popkeep_session_awaits(s)) {
		s->left_before = s->left;
		s->left = popkeep_session_left(s);
		s->read_at = parent->v_offset +
			i_stream_get_data_size(parent);
	}
	ret = i_stream_read_memarea(parent);
	l->istream.istream.stream_errno = parent->stream_errno;
	l->istream.istream.eof = parent->eof;
	return ret;
}

/*
 * What is shown together with the first line, whose length is given: lines that
 * neither are ours nor follow QUIT, after which no line counts.  last: where the
 * last of them begins.
 */
static size_t extent(const unsigned char *data, size_t len, size_t size,
		     size_t *last)
{
	const unsigned char *end;

	*last = 0;
	while (!is_named(data + *last, len - *last, "QUIT")) {
		end = memchr(data + len, '\n', size - len);
		if (end == NULL ||
		    find_command(data + len, end - data + 1 - len) != NULL)
			break;
		*last = len;
		len = end - data + 1;
	}
	return len;
}

/* 0: the first line was answered; else the octets of those that are shown. */
static ssize_t take_lines(struct popkeep_istream *l, const unsigned char *data,
			  size_t len, size_t size)
{
	struct istream *parent = l->istream.parent;
	struct popkeep_session *s = l->session;
	bool answered;
	size_t last;

	popkeep_session_line(s, parent->v_offset);
	T_BEGIN {
		answered = answer_line(s, data, len);
	} T_END;
	if (!answered) {
		/* What the last of them confirms includes all the others'. */
		len = extent(data, len, size, &last);
		popkeep_session_line(s, parent->v_offset + last);
	}
	/* What is there already is not announced by the socket again. */
	if (size > len)
		i_stream_set_input_pending(&l->istream.istream, TRUE);
	if (answered) {
		i_stream_skip(parent, len);
		l->istream.buffer = i_stream_get_data(parent, &size);
		return 0;
	}
	l->istream.buffer = data;
	l->istream.pos = len;
	return (ssize_t)len;
}

static ssize_t popkeep_lines_read(struct istream_private *stream)
{
	struct popkeep_istream *l =
		container_of(stream, struct popkeep_istream, istream);
	const unsigned char *data, *end;
	size_t size;
	ssize_t ret;

	i_stream_skip(stream->parent, stream->skip);
	stream->pos -= stream->skip;
	stream->skip = 0;
	for (;;) {
		data = i_stream_get_data(stream->parent, &size);
		stream->buffer = data;
		if (stream->pos > 0)
			return -2;	/* the lines are not taken yet */
		end = memchr(data, '\n', size);
		if (end != NULL)
			return take_lines(l, data, end - data + 1, size);
		ret = read_more(l);
		if (ret > 0)
			continue;
		stream->buffer = i_stream_get_data(stream->parent, &size);
		if (ret == -2)
			stream->pos = size;	/* too long for a line */
		return ret;
	}
}

static struct istream *
lines_create(struct istream *input, struct popkeep_session *s)
{
	struct popkeep_istream *l = i_new(struct popkeep_istream, 1);
	struct istream *stream;

	l->session = s;
	l->istream.read = popkeep_lines_read;
	l->istream.max_buffer_size =
		input->real_stream->max_buffer_size;
	l->istream.istream.readable_fd = input->readable_fd;
	l->istream.istream.blocking = input->blocking;
	l->istream.istream.seekable = FALSE;
	stream = popkeep_istream_create(&l->istream, input,
					i_stream_get_fd(input));
	i_stream_set_name(stream, "(popkeep: lines)");
	return stream;
}

/* client_input() is Dovecot's own, but the old io knows it. */
static void move_io(struct client *client, struct istream *lines)
{
	io_callback_t *callback = client->io->callback;
	void *context = client->io->context;

	io_remove(&client->io);
	client->io = (io_add_istream)(lines, __FILE__, __LINE__, callback,
				      context);
}

void popkeep_lines_begin(struct popkeep_session *s)
{
	struct client *client = s->client;
	struct istream *lines = lines_create(client->input, s);

	s->input = client->input;
	i_stream_unref(&client->input);
	client->input = lines;
	i_stream_set_input_pending(lines, TRUE);
	/* Else its output is full, and Dovecot adds it when that has left. */
	if (client->io != NULL)
		move_io(client, lines);
}
