// Runs Stoplight's Prism as validating proxies, several in one process: each takes requests, holds
// them and their answers against an OpenAPI document, passes both on and says in the header
// sl-violations what it objects to. Argument: JSON [{document, paths, upstream, port}]; prints "ready"
// and ends when its standard input does. Started by wire.mjs; the server is that of `prism proxy`.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { NPM } from '../paths.mjs';

const require = createRequire(join(NPM, 'package.json'));
const { createSingleProcessPrism } = require('@stoplight/prism-cli/dist/util/createServer.js');

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
for (const { document, paths, upstream, port } of JSON.parse(process.argv[2])) {
	const spec = JSON.parse(readFileSync(document, 'utf8'));
	// What is not called need not be read, and OpenAI's document takes long.
	if (paths) spec.paths = Object.fromEntries(Object.entries(spec.paths).filter(([path]) => paths.includes(path)));
	await createSingleProcessPrism({
		document: spec, upstream: new URL(upstream), port, host: '127.0.0.1', cors: false, errors: false,
		validateRequest: true, verboseLevel: 'fatal', ignoreExamples: true,
	});
}
console.log('ready');
