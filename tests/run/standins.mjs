// How the stand-in program is configured and how the system is pointed at it. Used by run.mjs and the
// end-to-end tests.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { secretFile } from './settings.mjs';

export const AI_ACCOUNT = '5b10a2844c20165700ede21a';
export const HUMAN_ACCOUNT = '5b10ac8d82e05b22cc7d4ef5';

/** Settings that make one service a stand-in; what says that the user has a real one. */
export const SERVICES = {
	jira: {
		configured: ['JIRA_BASE_URL', 'JIRA_API_TOKEN'],
		settings: (url, secret) => ({
			JIRA_BASE_URL: `${url}/jira`, JIRA_EMAIL: 'ai@example.com', JIRA_API_TOKEN: secret('standin-jira-token'),
			JIRA_AI_ACCOUNT_ID: AI_ACCOUNT, JIRA_HUMAN_ACCOUNT_ID: HUMAN_ACCOUNT, AIRUNNER_RATE_JIRA: 0,
		}),
	},
	github: {
		configured: ['GH_TOKEN'],
		settings: (url, secret) => ({ GITHUB_API_URL: `${url}/github`, GH_TOKEN: secret('standin-github-token'), AIRUNNER_RATE_GITHUB: 0 }),
	},
	anthropic: {
		configured: ['ANTHROPIC_API_KEY'],
		settings: (url, secret) => ({ ANTHROPIC_BASE_URL: `${url}/anthropic`, ANTHROPIC_API_KEY: secret('standin-anthropic-key'), AIRUNNER_RATE_CLAUDE: 0 }),
	},
	openai: {
		configured: ['OPENAI_API_KEY'],
		settings: (url, secret) => ({ OPENAI_BASE_URL: `${url}/openai/v1`, OPENAI_API_KEY: secret('standin-openai-key'), AIRUNNER_RATE_OPENAI: 0 }),
	},
};

/** A random secret kept in the state folder from start to start. */
export function keptSecret(state, name) {
	const folder = join(state, 'secrets');
	const path = join(folder, name);
	if (!existsSync(path)) secretFile(folder, name, randomBytes(24).toString('hex'));
	return readFileSync(path, 'utf8').trim();
}

/** Settings for the services in `names` against a stand-in at `url`. */
export const standinSettings = (names, url, state) => Object.assign({},
	...names.map((name) => SERVICES[name].settings(url, (secret) => keptSecret(state, secret))));

/**
 * The stand-in's configuration.
 * @param options {stack, issues, scripts, repositories: {"owner/name": path}, keep: remember issues over a
 *   restart, githubToken: another than the stand-in's own}
 */
export function standinConfig({ stack, issues = [], scripts = [], repositories = {}, keep = false, githubToken }) {
	return {
		listen: { port: stack.standinPort },
		...(keep ? { state: join(stack.state, 'run/standin-state.json') } : {}),
		scripts,
		jira: {
			email: 'ai@example.com', token: keptSecret(stack.state, 'standin-jira-token'),
			site_url: `${stack.standinUrl}/jira`, ai_account: AI_ACCOUNT, human_account: HUMAN_ACCOUNT,
			webhook_url: `${stack.url}/webhook/jira`, webhook_secret: keptSecret(stack.state, 'jira-webhook-secret'), issues,
		},
		github: { token: githubToken ?? keptSecret(stack.state, 'standin-github-token'), repos: repositories, html_url: `${stack.standinUrl}/github` },
		anthropic: { key: keptSecret(stack.state, 'standin-anthropic-key') },
		openai: { key: keptSecret(stack.state, 'standin-openai-key') },
	};
}
