// Percentiles and Markdown tables.
export const percentile = (values, share) => {
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
};
export const p50 = (values) => percentile(values, 0.5);
export const p99 = (values) => percentile(values, 0.99);

/** Microseconds as milliseconds. */
export const ms = (us, digits = 2) => (us / 1000).toFixed(digits);
export const ratio = (a, b) => `${(a / b).toFixed(2)}`;

export function table(title, heads, rows) {
	const line = (cells) => `| ${cells.join(' | ')} |`;
	console.log(`\n### ${title}\n\n${line(heads)}\n${line(heads.map(() => '---'))}\n${rows.map(line).join('\n')}\n`);
}
