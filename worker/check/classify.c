/*
 * Which of the seed's eight categories an error belongs to: by the tool's own code first, by words
 * second. Called where findings are made (finding.c). The hint of a category is a template:
 * templates/hints/<category>.md.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/check/check.h"
#include "worker/check/pattern.h"

static const char *const names[CATEGORY__MAX] = {
	[CATEGORY_MISSING_EXPORT] = "missing_export",
	[CATEGORY_TAILWIND_INVALID_CLASS] = "tailwind_invalid_class",
	[CATEGORY_IMPORT_RESOLUTION] = "import_resolution",
	[CATEGORY_TYPE_ERROR] = "type_error",
	[CATEGORY_REACT_HOOK_ERROR] = "react_hook_error",
	[CATEGORY_UNDEFINED_VARIABLE] = "undefined_variable",
	[CATEGORY_MISSING_DEPENDENCY] = "missing_dependency",
	[CATEGORY_SYNTAX_ERROR] = "syntax_error",
	[CATEGORY_UNKNOWN] = "unknown",
};

/* Codes of tsc, eslint rules, node, npm and our own checks. */
static const struct {
	const char *code;
	enum error_category category;
} codes[] = {
	{"TS2305", CATEGORY_MISSING_EXPORT},
	{"TS2459", CATEGORY_MISSING_EXPORT},
	{"TS2460", CATEGORY_MISSING_EXPORT},
	{"TS2613", CATEGORY_MISSING_EXPORT},
	{"TS2614", CATEGORY_MISSING_EXPORT},
	{"TS2616", CATEGORY_MISSING_EXPORT},
	{"TS2694", CATEGORY_MISSING_EXPORT},
	{"TS2724", CATEGORY_MISSING_EXPORT},
	{"TS1192", CATEGORY_MISSING_EXPORT},
	{"TS2304", CATEGORY_UNDEFINED_VARIABLE},
	{"TS2552", CATEGORY_UNDEFINED_VARIABLE},
	{"TS2503", CATEGORY_UNDEFINED_VARIABLE},
	{"TS2686", CATEGORY_UNDEFINED_VARIABLE},
	{"TS18004", CATEGORY_UNDEFINED_VARIABLE},
	{"TS2307", CATEGORY_IMPORT_RESOLUTION},
	{"TS2306", CATEGORY_IMPORT_RESOLUTION},
	{"TS2792", CATEGORY_IMPORT_RESOLUTION},
	{"TS2834", CATEGORY_IMPORT_RESOLUTION},
	{"TS2835", CATEGORY_IMPORT_RESOLUTION},
	{"TS5097", CATEGORY_IMPORT_RESOLUTION},
	{"TS7016", CATEGORY_MISSING_DEPENDENCY},
	{"TS2688", CATEGORY_MISSING_DEPENDENCY},
	{"TS2580", CATEGORY_MISSING_DEPENDENCY},
	{"TS2582", CATEGORY_MISSING_DEPENDENCY},
	{"TS2591", CATEGORY_MISSING_DEPENDENCY},
	{"TS2593", CATEGORY_MISSING_DEPENDENCY},
	{"parse-error", CATEGORY_SYNTAX_ERROR},
	{"json", CATEGORY_SYNTAX_ERROR},
	{"no-undef", CATEGORY_UNDEFINED_VARIABLE},
	{"react/jsx-no-undef", CATEGORY_UNDEFINED_VARIABLE},
	{"react-hooks/rules-of-hooks", CATEGORY_REACT_HOOK_ERROR},
	{"react-hooks/exhaustive-deps", CATEGORY_REACT_HOOK_ERROR},
	{"import/named", CATEGORY_MISSING_EXPORT},
	{"import/default", CATEGORY_MISSING_EXPORT},
	{"import/namespace", CATEGORY_MISSING_EXPORT},
	{"import/no-unresolved", CATEGORY_IMPORT_RESOLUTION},
	{"n/no-missing-import", CATEGORY_IMPORT_RESOLUTION},
	{"n/no-missing-require", CATEGORY_IMPORT_RESOLUTION},
	{"node/no-missing-import", CATEGORY_IMPORT_RESOLUTION},
	{"node/no-missing-require", CATEGORY_IMPORT_RESOLUTION},
	{"import/no-extraneous-dependencies", CATEGORY_MISSING_DEPENDENCY},
	{"tailwindcss/no-custom-classname", CATEGORY_TAILWIND_INVALID_CLASS},
	{"unresolved", CATEGORY_IMPORT_RESOLUTION},
	{"not-installed", CATEGORY_MISSING_DEPENDENCY},
	{"EUSAGE", CATEGORY_MISSING_DEPENDENCY},
	{"ERESOLVE", CATEGORY_MISSING_DEPENDENCY},
	{"E404", CATEGORY_MISSING_DEPENDENCY},
	{"ETARGET", CATEGORY_MISSING_DEPENDENCY},
};

/* The rest of tsc's numbers by range. */
static const struct {
	int from, to;
	enum error_category category;
} ts_ranges[] = {
	{1000, 1999, CATEGORY_SYNTAX_ERROR},
	{2000, 2999, CATEGORY_TYPE_ERROR},
	{7000, 7999, CATEGORY_TYPE_ERROR},
	{17000, 17999, CATEGORY_SYNTAX_ERROR},
	{18000, 18999, CATEGORY_TYPE_ERROR},
};

/* First match wins: the special before the general. */
static struct {
	struct pattern pattern;
	enum error_category category;
} words[] = {
	{{"(?i)has no exported member|\\bnot exported\\b|does not provide an export named"
	  "|does not contain a default export|export '[^']+' .*was not found in"},
		CATEGORY_MISSING_EXPORT},
	{{"(?is)Unknown at rule|not a valid Tailwind|@apply.*does not exist|class does not exist"
	  "|Cannot apply unknown utility class"},
		CATEGORY_TAILWIND_INVALID_CLASS},
	{{"(?i)React Hook .* is called|React Hook .* cannot be called|cannot be called inside a "
	  "callback"
	  "|React Hook .* missing dependenc|Invalid hook call|Rendered (more|fewer) hooks"},
		CATEGORY_REACT_HOOK_ERROR},
	{{"(?i)Cannot find package|Module .* was not found|Could not resolve dependency"
	  "|: (command )?not found\\b|could not determine executable"
	  "|code (EUSAGE|ERESOLVE|E404|ETARGET)\\b"},
		CATEGORY_MISSING_DEPENDENCY},
	{{"(?i)Cannot find module|Can't resolve|Unable to resolve path to module|Could not resolve "
	  "[\"']"
	  "|failed to resolve import"},
		CATEGORY_IMPORT_RESOLUTION},
	{{"(?i)is not defined|Cannot find name|ReferenceError"}, CATEGORY_UNDEFINED_VARIABLE},
	{{"(?i)SyntaxError|Unexpected (token|end of|identifier|string|number|reserved)|Parse error"
	  "|Parsing error|Expected .* but found|Unterminated"},
		CATEGORY_SYNTAX_ERROR},
	{{"(?i)is not assignable to|does not exist on type|Argument of type|is missing in type"
	  "|is possibly |\\bTypeError\\b|is not a function|Type error:"},
		CATEGORY_TYPE_ERROR},
};

static enum error_category by_code(const char *code)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (strcmp(codes[i].code, code) == 0)
			return codes[i].category;
	if (strncmp(code, "TS", 2) != 0)
		return CATEGORY_UNKNOWN;
	int number = atoi(code + 2);
	for (size_t i = 0; i < ARRAY_LEN(ts_ranges); i++)
		if (number >= ts_ranges[i].from && number <= ts_ranges[i].to)
			return ts_ranges[i].category;
	return CATEGORY_UNKNOWN;
}

enum error_category classify(const char *code, const char *message)
{
	enum error_category category = code ? by_code(code) : CATEGORY_UNKNOWN;
	if (category != CATEGORY_UNKNOWN || !message)
		return category;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (pattern_find(&words[i].pattern, message, strlen(message), 0, NULL))
			return words[i].category;
	return CATEGORY_UNKNOWN;
}

const char *error_category_name(enum error_category category)
{
	return names[category];
}
