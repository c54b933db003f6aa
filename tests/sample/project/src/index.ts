export { titleCase } from './title-case.js';
export { words } from './words.js';
