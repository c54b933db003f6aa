/* Address ranges "127.0.0.1/32,10.0.0.0/8,::1" (AIRUNNER_READ_OPEN). An address alone is itself. */
#ifndef AIRUNNER_CGI_CIDR_H
#define AIRUNNER_CGI_CIDR_H

#include <stdbool.h>

#include "lib/err.h"

/** Is address in one of the ranges? An IPv4 address in IPv6 clothes (::ffff:1.2.3.4) counts as
 * IPv4. */
bool cidr_list_contains(const char *list, const char *address);

/** @return ERR_CONFIG naming the entry that is no range */
err_t cidr_list_check(const char *list);

#endif
