// The status page in Chromium, headless, at two sizes and in both colours: it renders, is updated, has
// nothing to complain of, works without scripts, and goes on after a restart of the server.
//
// node page.cjs URL CHROMIUM FOLDER: prints PASS or FAIL and what was looked at, a line each. Where it
// prints RESTART, its caller restarts the server and answers with a line.
"use strict";

const { join } = require("node:path");
const { createInterface } = require("node:readline");
const puppeteer = require("puppeteer-core");

const [url, chromium, folder] = process.argv.slice(2);
const PATIENCE_MS = 20000;
const SIZES = [
  { name: "desk", width: 1280, height: 900, scheme: "light" },
  { name: "phone", width: 390, height: 844, scheme: "dark" },
];
let failed = 0;

function check(what, holds, why) {
  console.log(`${holds ? "PASS" : "FAIL"} ${what}${holds ? "" : `: ${why}`}`);
  failed += holds ? 0 : 1;
}

// Waits until something in the page holds; false if it doesn't in time.
async function becomes(page, holds, ...given) {
  const waiting = page.waitForFunction(holds, { timeout: PATIENCE_MS, polling: 100 }, ...given);
  return waiting.then(() => true, () => false);
}

const isLive = () => document.getElementById("live").className === "on";

async function look(browser, size) {
  const page = await browser.newPage();
  await page.setViewport({ width: size.width, height: size.height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: size.scheme }]);
  const complaints = [];
  const elsewhere = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) {
      complaints.push(message.text());
    }
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) {
      elsewhere.push(request.url());
    }
  });
  await page.goto(url, { waitUntil: "domcontentloaded" });
  check(`${size.name}: the page is live`, await becomes(page, isLive), "no event came");
  const shown = await page.evaluate(() => document.body.innerText);
  const parts = ["sessions", "deliveries", "From commit to told", "Shards", "Store", "Slow calls"];
  parts.push("Refused addresses", "When IDLE is offered", "Certificates", "Memory");
  const missing = parts.filter((part) => !shown.includes(part));
  check(`${size.name}: one look tells all`, missing.length === 0, missing.join(", "));
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  check(`${size.name}: nothing is wider than the screen`, wide <= 0, `${wide} pixels`);
  await page.screenshot({ path: join(folder, `${size.name}.png`), fullPage: true });
  check(`${size.name}: nothing is from elsewhere`, elsewhere.length === 0, elsewhere.join(", "));
  return { page, complaints };
}

async function sessions(page) {
  return page.$eval("#sessions", (it) => Number(it.textContent.replaceAll(",", "")));
}

// A client of mail comes, so one session more is shown.
async function updates(page, mail) {
  const before = await sessions(page);
  const socket = require("node:net").connect(mail.port, mail.host);
  const more = (before) =>
    Number(document.getElementById("sessions").textContent.replaceAll(",", "")) > before;
  const risen = await becomes(page, more, before);
  socket.destroy();
  check("a session that comes is shown", risen, `still ${await sessions(page)}`);
}

async function restart(page) {
  const lines = createInterface({ input: process.stdin });
  console.log("RESTART");
  await new Promise((resolve) => lines.once("line", resolve));
  lines.close();
  const up = () => /up \d+ s/.test(document.getElementById("state").textContent);
  check("the page goes on after a restart", await becomes(page, up), "it is still of before");
  check("and is live again", await becomes(page, isLive), "no event came");
}

async function withoutScripts(browser) {
  const page = await browser.newPage();
  await page.setJavaScriptEnabled(false);
  await page.goto(url);
  const text = await page.$eval("#tiles", (it) => it.textContent);
  check("it is read without scripts", /\d/.test(text) && text.includes("sessions"), text);
}

async function main() {
  const [host, port] = process.env.MAIL.split(":");
  const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox"] });
  try {
    const looks = [];
    for (const size of SIZES) {
      looks.push(await look(browser, size));
    }
    await updates(looks[0].page, { host, port: Number(port) });
    await withoutScripts(browser);
    const said = looks.flatMap((one) => one.complaints);
    check("the browser complains of nothing", said.length === 0, said.join("; "));
    await restart(looks[0].page);
  } finally {
    await browser.close();
  }
  process.exit(failed === 0 ? 0 : 1);
}

main().catch((error) => {
  console.log(`FAIL ${error.stack}`);
  process.exit(1);
});
