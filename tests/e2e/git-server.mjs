// A git server by https on loopback for end-to-end tests: nginx with git http-backend (fcgiwrap), a
// certificate authority of its own (ca.pem), a token wanted.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Part } from '../run/parts.mjs';
import { tryPort } from '../run/stack.mjs';
import { until } from './harness.mjs';

/** A git server in `folder`, made anew; repositories are below its `repos`: {port, accessLog(), stop()}. */
export async function gitServer(folder, token) {
	const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
	const socket = socketIn(folder);
	rmSync(folder, { recursive: true, force: true });
	mkdirSync(folder, { recursive: true });
	openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=Test authority', '-keyout', 'ca.key', '-out', 'ca.pem');
	openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=127.0.0.1', '-keyout', 'server.key', '-out', 'server.csr');
	writeFileSync(join(folder, 'san.txt'), 'subjectAltName=IP:127.0.0.1\n');
	openssl('x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'san.txt', '-out', 'server.pem');
	writeFileSync(join(folder, 'users'), `x-access-token:${openssl('passwd', '-apr1', token).trim()}\n`);
	const port = await tryPort(0);
	const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/tmp-${kind};`).join(' ');
	writeFileSync(join(folder, 'nginx.conf'), `
worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log; events {}
http {
	access_log ${folder}/access.log; client_max_body_size 64m; ${temp}
	server {
		listen 127.0.0.1:${port} ssl; ssl_certificate ${folder}/server.pem; ssl_certificate_key ${folder}/server.key;
		auth_basic git; auth_basic_user_file ${folder}/users;
		location / {
			fastcgi_pass unix:${socket}; fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
			fastcgi_param GIT_HTTP_EXPORT_ALL 1; fastcgi_param GIT_PROJECT_ROOT ${folder}/repos; fastcgi_param PATH_INFO $uri;
			fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method; fastcgi_param CONTENT_TYPE $content_type;
			fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param REMOTE_USER $remote_user; fastcgi_param REMOTE_ADDR $remote_addr;
			fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
		}
	}
}`);
	const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: folder, GIT_CONFIG_NOSYSTEM: '1' };
	const parts = [
		new Part({ name: 'fcgiwrap', argv: ['spawn-fcgi', '-n', '-s', socket, '-M', '0600', '--', '/usr/sbin/fcgiwrap'], env, log: join(folder, 'fcgiwrap.log') }),
		new Part({ name: 'git nginx', argv: ['nginx', '-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr', '-g', 'daemon off;'], env, log: join(folder, 'nginx.log') }),
	];
	for (const part of parts) part.start();
	await until('the git server listens', 10000, () => tryPort(port).then(() => false, () => true));
	return {
		port, accessLog: () => readFileSync(join(folder, 'access.log'), 'utf8'),
		stop: () => Promise.all(parts.map((part) => part.stop())),
	};
}

function socketIn(folder) {
	const path = join(folder, 'fcgi.sock');
	return path.length > 90 ? `/tmp/airunner-git-${process.pid}.sock` : path;
}

