// Twilio's own helper library judges our check of signatures: on thousands of generated requests the
// two must agree, on those it signed as well as on those that were changed on the way.
//   node signature_oracle_test.mjs PROGRAM [SEED]     PROGRAM is signature_judge.c
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";

const require = createRequire(new URL("../package.json", import.meta.url));
const twilio = require("twilio");
const { getExpectedTwilioSignature, getExpectedBodyHash } = require("twilio/lib/webhooks/webhooks");

const [program, seedText] = process.argv.slice(2);
const seed = Number(seedText ?? Date.now() % 1000000);
let state = seed + 1;
const random = (count) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % count;
};
const pick = (list) => list[random(list.length)];
const chance = (percent) => random(100) < percent;

const letters = "abcXYZ019-_.~";
const wild = [..."abcAZ09 +&=%'\"<>#?/\\;,\t\n", "ñ", "é", "👍", "€", "\u0001", "\u007f"];
const word = (alphabet, max) => Array.from({ length: random(max + 1) }, () => pick(alphabet)).join("");
const queryWord = () => word([...letters, "'", "%27", "%20", "%2B"], 6);

const names = ["CallSid", "callSid", "CALLSID", "From", "To", "Digits", "Reason", "ReasonConferenceEnded", "Body", "a", "A", "_", "é"];

function makeForm() {
    const pairs = Array.from({ length: random(12) }, () => [chance(85) ? pick(names) : word(wild, 5) || "x", word(wild, 20)]);
    const params = {};
    for (const [name, value] of pairs) {
        if (!Object.hasOwn(params, name)) params[name] = value;
        else params[name] = [].concat(params[name], value);
    }
    return { pairs, params };
}

// JavaScript sorts names by UTF-16 units and we by bytes; they differ only beyond the first plane.
const sortable = ({ pairs }) => pairs.every(([name]) => !/[\ud800-\udfff]/.test(name)) && !pairs.some(([, value]) => /[\ud800-\udfff]/.test(value) && pairs.length > 1 && new Set(pairs.map(([n]) => n)).size < pairs.length);

// "+" for blanks or %20, capital or small hex, safe characters escaped or not: all the same form.
function encode(text) {
    let out = "";
    for (const byte of Buffer.from(text, "utf-8")) {
        const character = String.fromCharCode(byte);
        if (character === " " && chance(70)) out += "+";
        else if (/[A-Za-z0-9]/.test(character) && chance(95)) out += character;
        else if (/[-_.~*'()!]/.test(character) && chance(50)) out += character;
        else out += "%" + byte.toString(16).padStart(2, "0")[chance(50) ? "toUpperCase" : "toLowerCase"]();
    }
    return out;
}

function makeCase() {
    const scheme = pick(["https", "http"]);
    const host = pick(["calls.example.com", "127.0.0.1", "[::1]", "a.b"]);
    const port = pick(["", "", ":443", ":80", ":8443"]);
    const path = "/" + word([...letters, "/", "%2f", "'"], 8);
    const query = chance(40) ? "" : "?" + Array.from({ length: 1 + random(3) }, () => `${word(letters, 3) || "k"}=${queryWord()}`).join("&");
    const token = pick(["12345", "0123456789abcdef0123456789abcdef"]);
    const kind = pick(["form", "form", "form", "json", "none"]);
    const base = `${scheme}://${host}${port}`;
    if (kind === "json") {
        const body = JSON.stringify({ a: word(wild, 30) });
        const target = path + (query || "?") + (query ? "&" : "") + "bodySHA256=" + getExpectedBodyHash(body);
        return { base, target, token, kind, body, params: {} };
    }
    let form = makeForm();
    while (kind === "form" && !sortable(form)) form = makeForm();
    if (kind === "none") form = { pairs: [], params: {} };
    const body = form.pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&");
    return { base, target: path + query, token, kind, body, params: form.params };
}

// What the carrier may have signed: the port there or not.
function signedUrl({ base, target }) {
    const url = base + target;
    const bare = base.replace(/:\d+$/, (port) => (base.endsWith("]") ? port : ""));
    const ported = base === bare ? base + (base.startsWith("https") ? ":443" : ":80") : base;
    return pick([url, bare + target, ported + target]);
}

function change(text) {
    if (text.length === 0) return "x";
    const at = random(text.length);
    return text.slice(0, at) + (text[at] === "z" ? "y" : "z") + text.slice(at + 1);
}

// One of: nothing, the token, the signature, the URL, a parameter.
function spoil(request) {
    switch (random(10)) {
    case 0: return { ...request, token: "wrong" };
    case 1: return { ...request, signature: change(request.signature) };
    case 2: return { ...request, target: request.target + "x" };
    case 3: return { ...request, base: request.base.replace(/^(.*:\/\/)(.*?)(:\d+)?$/, (_, scheme, host, port) => `${scheme}other.example${port ?? ""}`) };
    case 4: return request.kind === "form" ? { ...request, body: request.body + "&zz=1", params: { ...request.params, zz: "1" } } : request;
    case 5: return request.kind === "json" ? { ...request, body: request.body + " " } : request;
    default: return request;
    }
}

function oracle({ base, target, token, kind, body, params, signature }) {
    const url = base + target;
    if (kind === "json") return twilio.validateRequestWithBody(token, signature, url, body);
    return twilio.validateRequest(token, signature, url, params);
}

const requests = Array.from({ length: 4000 }, () => {
    const request = makeCase();
    return spoil({ ...request, signature: getExpectedTwilioSignature(request.token, signedUrl(request), request.params) });
});
const lines = requests.map(({ base, target, token, kind, body, signature }) => {
    const encoded = Buffer.from(body, "utf-8").toString("base64");
    return JSON.stringify({ base, target, token, signature, ...(kind === "none" ? {} : { [kind]: encoded }) });
});
const run = spawnSync(program, { input: lines.join("\n") + "\n", encoding: "utf-8", maxBuffer: 1 << 26 });
if (run.status !== 0) throw new Error(`the judge failed: ${run.stderr}`);
const verdicts = run.stdout.trim().split("\n");
if (verdicts.length !== requests.length) throw new Error("not every request was judged");

let accepted = 0;
requests.forEach((request, index) => {
    const expected = oracle(request);
    accepted += expected ? 1 : 0;
    if (expected !== (verdicts[index] === "1")) {
        console.error(`seed ${seed}, request ${index}: twilio says ${expected}, we say ${verdicts[index]}`);
        console.error(JSON.stringify(request, null, 1));
        process.exitCode = 1;
    }
});
console.log(`seed ${seed}: ${requests.length} requests, ${accepted} of them good, judged alike`);
if (accepted < 1000 || accepted > 3900) throw new Error("the generator has gone lopsided");
