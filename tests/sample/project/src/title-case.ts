import { words } from './words.js';

/** Every word with a capital letter, one blank between them. */
export function titleCase(text: string): string {
	return words(text)
		.map((word) => word.charAt(0).toUpperCase() + word.slice(1))
		.join(' ');
}
