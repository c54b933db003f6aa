// Chance that can be had again: the same seed gives the same numbers (mulberry32).
export function random(seed) {
	let a = seed;
	return () => {
		a = (a + 0x6d2b79f5) | 0;
		let t = Math.imul(a ^ (a >>> 15), 1 | a);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

/** A shuffled copy. */
export function shuffled(list, seed) {
	const next = random(seed);
	return list.map((item) => ({ item, at: next() })).sort((x, y) => x.at - y.at).map(({ item }) => item);
}

/** The value below which this share of the numbers lies. */
export function percentile(numbers, share) {
	const sorted = [...numbers].sort((x, y) => x - y);
	return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}
