/* Address ranges. Called by auth.c, and by app.c to check the setting at start. */
#include "cgi/cidr.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/text.h"

#define ENTRY_MAX 64

struct address {
	unsigned char bytes[16];
	int bits; /* 32 or 128 */
};

static bool read_address(const char *text, struct address *ret)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (inet_pton(AF_INET, text, ret->bytes) == 1) {
		ret->bits = 32;
		return true;
	}
	if (inet_pton(AF_INET6, text, ret->bytes) != 1)
		return false;
	ret->bits = 128;
	if (memcmp(ret->bytes, mapped, sizeof mapped) == 0) {
		memmove(ret->bytes, ret->bytes + 12, 4);
		ret->bits = 32;
	}
	return true;
}

/* The next entry of the list, "" at its end. @return what follows it, NULL when it is too long */
static const char *next_entry(const char *list, char ret_entry[ENTRY_MAX])
{
	list += strspn(list, ", \t");
	size_t n = strcspn(list, ", \t");
	if (n >= ENTRY_MAX)
		return NULL;
	memcpy(ret_entry, list, n);
	ret_entry[n] = '\0';
	return list + n;
}

static bool read_range(char *entry, struct address *ret_network, int *ret_prefix)
{
	char *slash = strchr(entry, '/');
	long long prefix = -1;
	if (slash) {
		*slash = '\0';
		if (!text_to_i64(slash + 1, &prefix) || prefix < 0)
			return false;
	}
	if (!read_address(entry, ret_network) || prefix > ret_network->bits)
		return false;
	*ret_prefix = slash ? (int)prefix : ret_network->bits;
	return true;
}

static bool same_prefix(const struct address *a, const struct address *b, int prefix)
{
	int whole = prefix / 8, rest = prefix % 8;
	if (a->bits != b->bits || memcmp(a->bytes, b->bytes, (size_t)whole) != 0)
		return false;
	unsigned mask = 0xffu << (8 - rest) & 0xff;
	return rest == 0 || ((a->bytes[whole] ^ b->bytes[whole]) & mask) == 0;
}

bool cidr_list_contains(const char *list, const char *address)
{
	struct address wanted, network;
	char entry[ENTRY_MAX];
	int prefix;
	if (!read_address(address, &wanted))
		return false;
	while ((list = next_entry(list, entry)) && *entry) {
		if (read_range(entry, &network, &prefix) && same_prefix(&wanted, &network, prefix))
			return true;
	}
	return false;
}

err_t cidr_list_check(const char *list)
{
	struct address network;
	char entry[ENTRY_MAX], shown[ENTRY_MAX];
	int prefix;
	while ((list = next_entry(list, entry)) && *entry) {
		memcpy(shown, entry, sizeof shown);
		if (!read_range(entry, &network, &prefix))
			return err_new(ERR_CONFIG,
				"AIRUNNER_READ_OPEN: %s is no address range; write 10.0.0.0/8,::1",
				shown);
	}
	return list ? NULL : err_new(ERR_CONFIG, "AIRUNNER_READ_OPEN: an entry is too long");
}
