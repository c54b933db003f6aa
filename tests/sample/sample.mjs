// The sample that `make run` hands through: a small TypeScript project made into a git repository, a
// Jira sub-task, and what the scripted model says to it. The first edit does not pass the type check.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

export const SAMPLE = {
	key: 'DEMO-2', parent: 'DEMO-1', owner: 'demo', name: 'text-tools', branch: 'story/demo-1',
	scripts: join(here, 'scripts'),
};

/** git with an identity of its own and without the user's configuration. */
export function git(cwd, ...args) {
	return execFileSync('git', ['-c', 'init.defaultBranch=main', '-c', 'advice.detachedHead=false', ...args], {
		cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'],
		env: {
			...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null', GIT_TERMINAL_PROMPT: '0',
			GIT_AUTHOR_NAME: 'Petra Person', GIT_AUTHOR_EMAIL: 'petra@example.com',
			GIT_COMMITTER_NAME: 'Petra Person', GIT_COMMITTER_EMAIL: 'petra@example.com',
		},
	}).trim();
}

/** A bare repository at `bare` with the files of `folder` as its one commit on main. */
export function makeRepository(folder, bare, message = 'First version') {
	const work = `${bare}.work`;
	rmSync(work, { recursive: true, force: true });
	mkdirSync(dirname(bare), { recursive: true });
	cpSync(folder, work, { recursive: true });
	git(work, 'init', '--quiet');
	git(work, 'add', '--all', '--force');
	git(work, 'commit', '--quiet', '--message', message);
	git(work, 'clone', '--quiet', '--bare', '.', `${bare}.new`);
	rmSync(work, { recursive: true, force: true });
	rmSync(bare, { recursive: true, force: true });
	cpSync(`${bare}.new`, bare, { recursive: true });
	rmSync(`${bare}.new`, { recursive: true, force: true });
}

/** The sample's repository below the state folder, made once. */
export function sampleRepository(state) {
	const bare = join(state, 'demo/text-tools.git');
	if (!existsSync(bare)) makeRepository(join(here, 'project'), bare);
	return bare;
}

export const sampleRepos = (bare, workdir) => ({
	projects: [{
		jira_project_key: 'DEMO', jira_project_name: 'Demo', repo_ssh: bare, repo_workdir: workdir,
		base_branch: 'main', repo_owner_slug: SAMPLE.owner, repo_name: SAMPLE.name,
	}],
	default_project_key: 'DEMO',
});

const SLUGIFY = `Links to our articles should be readable. Add a helper to the package:

\`slugify(text: string, maxLength?: number): string\`

- the words of the text in lower case, joined by single hyphens (\`slugify('Hello, World!')\` is \`hello-world\`)
- with \`maxLength\` it is cut at a word's end so that it is at most so long; a first word that is longer is cut itself
- exported from \`src/index.ts\`, with tests beside the others`;

export const sampleIssues = () => [
	{
		key: SAMPLE.parent, type: 'Story', status: 'In Progress', summary: 'Readable links',
		description: 'Articles are linked by number today. Readers and search engines want words.',
	},
	{
		key: SAMPLE.key, type: 'Sub-task', status: 'In Progress', parent: SAMPLE.parent, summary: 'Add a slugify helper',
		description: SLUGIFY,
	},
];
