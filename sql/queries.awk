# Turns sql/queries.sql into an enum (mode=h) or a table (mode=c). Usage: awk -v mode=h -f …
function flush_query() {
	if (name == "")
		return
	sub(/;[ \t\n]*$/, "", text)
	gsub(/\\/, "\\\\", text)
	gsub(/"/, "\\\"", text)
	gsub(/\n/, "\\n\"\n\t\t\"", text)
	params = gsub(/\?/, "?", text)
	if (params != wanted) {
		printf "%s: query %s has %d question marks but names %d inputs\n", FILENAME, name, params, wanted > "/dev/stderr"
		failed = 1
		exit 1
	}
	upper = toupper(name)
	if (mode == "h")
		printf "\tQ_%s,\n", upper
	else
		printf "\t[Q_%s] = {\"%s\", %d, %d,\n\t\t\"%s\"},\n", upper, name, params, outs, text
	name = ""
}
BEGIN {
	print "/* Made from sql/queries.sql by sql/queries.awk. */"
	if (mode == "h")
		print "#ifndef AIRUNNER_GEN_QUERIES_H\n#define AIRUNNER_GEN_QUERIES_H\n\n#include <stdbool.h>\n\nenum query {"
	else
		print "#include \"gen/queries.h\"\n\nconst struct query_row query_rows[Q__MAX] = {"
}
/^-- name:/ { flush_query(); name = $3; text = ""; wanted = 0; outs = 0; next }
/^-- in:/ { line = $0; sub(/^-- in:[ \t]*/, "", line); wanted += split(line, parts, /,/); next }
/^-- out:/ { outs = 1; next }
/^--/ { next }
name != "" {
	if ($0 == "" && text == "")
		next
	text = text (text == "" ? "" : "\n") $0
	if ($0 ~ /;[ \t]*$/)
		flush_query()
}
END {
	if (failed)
		exit 1
	flush_query()
	if (mode == "h")
		print "\tQ__MAX\n};\n\nstruct query_row {\n\tconst char *name;\n\tint params;\n\tbool has_result;\n\tconst char *sql;\n};\n\nextern const struct query_row query_rows[Q__MAX];\n\n#endif"
	else
		print "};"
}
