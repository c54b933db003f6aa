/*
 * Keeps a page fresh: asks each second for its regions with the last ETag, replaces those that
 * changed, keeps focus, scroll and open details, and stops while the page is hidden. Times become
 * relative and local. Buttons that act call the API. Without this file the pages can be read as
 * they are.
 */
"use strict";

(function () {
	var POLL_MS = 1000;
	var SLOWEST_POLL_MS = 15000;
	var poll = document.body.dataset.poll;
	var live = document.getElementById("live");
	var shown = new Map(); // region name -> the server's HTML, before times were rewritten
	var etag = null;
	var timer = null;
	var wait = POLL_MS;
	var lastAnswer = Date.now();

	function ago(seconds) {
		if (seconds < 5) return "just now";
		if (seconds < 60) return Math.floor(seconds) + " s ago";
		if (seconds < 3600) return Math.floor(seconds / 60) + " min ago";
		if (seconds < 86400) return Math.floor(seconds / 3600) + " h ago";
		return Math.floor(seconds / 86400) + " d ago";
	}

	function duration(seconds) {
		var s = Math.max(0, Math.floor(seconds));
		if (s < 60) return s + " s";
		if (s < 3600) return Math.floor(s / 60) + " min " + (s % 60) + " s";
		return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
	}

	function put(node, text) {
		if (node.textContent !== text) node.textContent = text;
	}

	function tick() {
		var now = Date.now();
		document.querySelectorAll("time[datetime]").forEach(function (node) {
			var at = new Date(node.dateTime);
			if (!node.title) node.title = at.toLocaleString() + " (" + node.dateTime + ")";
			if (node.hasAttribute("data-ago")) put(node, ago((now - at) / 1000));
			if (node.hasAttribute("data-clock")) put(node, at.toLocaleTimeString());
		});
		document.querySelectorAll("[data-since]").forEach(function (node) {
			put(node, duration(now / 1000 - Number(node.dataset.since)));
		});
		var silent = (now - lastAnswer) / 1000;
		live.hidden = !poll || silent < 5;
		if (!live.hidden) put(live, "No answer from the server, shown as of " + ago(silent));
	}

	function remember() {
		document.querySelectorAll("[data-region]").forEach(function (region) {
			shown.set(region.dataset.region, region.innerHTML);
		});
	}

	function replace(region, fresh) {
		var focused = region.contains(document.activeElement) ? document.activeElement.id : "";
		var open = Array.from(region.querySelectorAll("details[open][id]"), function (d) {
			return d.id;
		});
		region.replaceChildren.apply(region, Array.from(fresh.childNodes));
		open.forEach(function (id) {
			var details = document.getElementById(id);
			if (details) details.open = true;
		});
		var target = focused && document.getElementById(focused);
		if (target) target.focus({ preventScroll: true });
	}

	function show(html) {
		var fresh = new DOMParser().parseFromString(html, "text/html");
		fresh.querySelectorAll("[data-region]").forEach(function (part) {
			var name = part.dataset.region;
			var region = document.querySelector('[data-region="' + name + '"]');
			if (!region || shown.get(name) === part.innerHTML) return;
			shown.set(name, part.innerHTML);
			replace(region, part);
		});
	}

	function ask() {
		var headers = etag ? { "If-None-Match": etag } : {};
		return fetch(poll, { headers: headers, cache: "no-store", redirect: "manual" }).then(function (answer) {
			if (answer.type === "opaqueredirect" || answer.status === 401) {
				location.reload(); // the session has ended: the page leads to the sign-in
				return new Promise(function () {});
			}
			if (answer.status === 304) return null;
			if (!answer.ok) throw new Error("HTTP " + answer.status);
			etag = answer.headers.get("ETag");
			return answer.text();
		}).then(function (html) {
			lastAnswer = Date.now();
			wait = POLL_MS;
			if (html !== null) show(html);
		});
	}

	function again() {
		clearTimeout(timer);
		if (!document.hidden) timer = setTimeout(round, wait);
	}

	function round() {
		ask().catch(function () {
			wait = Math.min(wait * 2, SLOWEST_POLL_MS);
		}).then(tick).then(again);
	}

	function said(text) {
		var node = document.getElementById("act-answer");
		if (node) put(node, text);
	}

	/* Sends what a button names; the next poll shows what came of it. */
	function act(button) {
		if (button.dataset.sure && !window.confirm(button.dataset.sure)) return;
		button.disabled = true;
		fetch(button.dataset.act, {
			method: "POST",
			headers: { "Content-Type": "application/json", "X-CSRF-Token": document.body.dataset.csrf },
			body: button.dataset.body || "{}",
		}).then(function (answer) {
			return answer.json().then(function (json) {
				if (answer.ok && poll) round();
				else button.disabled = false;
				said(json.message || json.error || "");
			});
		}).catch(function () {
			button.disabled = false;
			said("No answer from the server.");
		});
	}

	document.addEventListener("click", function (event) {
		var button = event.target.closest("[data-act]");
		if (button) act(button);
	});

	document.documentElement.classList.add("js");
	remember();
	tick();
	setInterval(function () {
		if (!document.hidden) tick();
	}, 1000);
	if (poll) {
		again();
		document.addEventListener("visibilitychange", function () {
			wait = POLL_MS;
			if (document.hidden) clearTimeout(timer);
			else round();
		});
	}
})();
