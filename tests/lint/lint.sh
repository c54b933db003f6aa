#!/bin/bash
# `make lint`: format of the C files, rules of the house, shell scripts; then a report of what is
# long (STYLE: files rarely above 320 lines, functions within 60), which does not fail.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
failed=0

mapfile -t c_files < <(find lib cgi worker tests -name '*.[ch]' | sort)
if ! clang-format --dry-run --Werror "${c_files[@]}" 2>build/lint-format.txt; then
	grep -o '^[^:]*' build/lint-format.txt | sort | uniq -c | grep '\.[ch]$' | sed 's/^/format: /'
	failed=1
fi
node tests/lint/house.test.mjs || failed=1
mapfile -t scripts < <(find tests .ci -name '*.sh' -o -path .ci/run | sort)
shellcheck "${scripts[@]}" || failed=1

awk 'FNR == 1 { name = ""; if (lines > 320) print "long file: " file ": " lines " lines" }
	{ file = FILENAME; lines = FNR }
	/^[a-z].*\)$/ { name = $0 }
	/^\{$/ { start = FNR }
	/^\}$/ { if (start && FNR - start > 60) print "long function: " FILENAME ":" start ": " FNR - start " lines: " name; start = 0 }
	END { if (lines > 320) print "long file: " file ": " lines " lines" }' "${c_files[@]}"
exit $failed
