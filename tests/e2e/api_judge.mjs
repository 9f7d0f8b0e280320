// The REST API against its own OpenAPI document, read from the running server. Everything here is made from
// the document: what it lists is asked for, rightly and wrongly, and what comes back is held against it by
// programs that are not ours (ajv, and a validator of OpenAPI itself).
//
//   node api_judge.mjs CONFIG.json     {base, tokens, ids, bodies}, as api.py writes it
import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv from "ajv/dist/2020.js";
import formats from "ajv-formats";

const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
const NOBODY = "7f000000-0000-4000-8000-000000000001";
let passed = 0;
const failures = [];

function check(what, right, found) {
  if (right) passed += 1;
  else failures.push(`${what}: ${typeof found === "string" ? found : JSON.stringify(found)}`.slice(0, 1200));
}

async function ask(method, path, { token, body, headers = {} } = {}) {
  const sent = { ...headers };
  if (token) sent.authorization = `Bearer ${token}`;
  if (body !== undefined) sent["content-type"] ??= "application/json";
  const text_sent = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  let answer = await fetch(config.base + path, { method, headers: sent, body: text_sent });
  // A machine that is out of breath may say "later", as the document has it; what carries a key may then be asked again.
  for (let tries = 0; answer.status === 503 && (method === "GET" || sent["idempotency-key"]) && tries < 5; tries += 1) {
    await answer.text();
    answer = await fetch(config.base + path, { method, headers: sent, body: text_sent });
  }
  const text = await answer.text();
  let json;
  try { json = text ? JSON.parse(text) : undefined; } catch { json = undefined; }
  return { status: answer.status, headers: answer.headers, text, json };
}

// ---- the document itself ----

const fetched = await ask("GET", "/api/openapi.json");
check("the document is there without a token", fetched.status === 200, fetched.status);
const document = fetched.json;
const validator = new Validator();
const judged = await validator.validate(structuredClone(document));
check("an independent validator takes the document", judged.valid, judged.errors);
check("it is OpenAPI 3.1", validator.version === "3.1", validator.version);

const ajv = new Ajv({ strict: false, allErrors: true });
formats(ajv);
ajv.addSchema({ $id: "doc", ...document });

const resolve = (node) => node?.$ref ? node.$ref.slice(2).split("/").reduce((at, name) => at[name], document) : node;
function judgeBody(what, schema, json) {
  const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"doc#/'));
  const fits = ajv.compile(absolute);
  check(`${what}: the answer is what the document says`, fits(json), [fits.errors?.slice(0, 3), json]);
}

const operations = [];
for (const [path, item] of Object.entries(document.paths))
  for (const [method, operation] of Object.entries(item))
    operations.push({ path, method: method.toUpperCase(), operation, what: `${method.toUpperCase()} ${path}` });
check("no operation's name stands twice", new Set(operations.map((o) => o.operation.operationId)).size === operations.length,
  operations.map((o) => o.operation.operationId));

// ---- asking ----

const name = (o) => o.operation.operationId.replace(/_alias$/, "");
// What stands in a path's braces: a thing of organisation A, or one that nobody has.
function fill(o, ids) {
  const key = o.path.split("/").slice(2).filter((part) => part !== "aloha")[0];
  return o.path.replace(/\{\w+\}/g, () => (ids ? ids[name(o)] ?? ids[key] : undefined) ?? NOBODY);
}
const goodBody = (o) => o.operation.requestBody ? config.bodies[name(o)] ?? {} : undefined;
const changes = (o) => o.method !== "GET";

// A problem, as RFC 9457 and the document have it.
function judgeProblem(what, answer, statuses) {
  check(what, statuses.includes(answer.status), [answer.status, answer.text]);
  check(`${what}: a problem document`, answer.headers.get("content-type") === "application/problem+json" &&
    answer.json?.status === answer.status && answer.json?.type.startsWith("urn:ringbridge:problem:"), answer.text);
}

function judgeListed(o, what, answer) {
  const response = resolve(o.operation.responses[String(answer.status)]);
  check(`${what}: ${answer.status} is in the document`, response !== undefined, answer.text);
  const content = response?.content?.[answer.headers.get("content-type")];
  if (content) judgeBody(what, content.schema, answer.json);
  else check(`${what}: no body where the document has none`, answer.text === "", answer.text);
}

async function withoutToken(o) {
  const answer = await ask(o.method, fill(o), { body: goodBody(o) });
  judgeProblem(`${o.what} without a token`, answer, [401]);
  check(`${o.what}: says how`, answer.headers.get("www-authenticate") === "Bearer", [...answer.headers]);
}

// One request a minute and no more: whatever the clock does meanwhile, of three in a row one is refused for its pace. The
// others are refused for their query, which is looked at later, so that nothing is done.
async function tooFast(o) {
  let answer;
  for (let asked = 0; asked < 3 && answer?.status !== 429; asked += 1) {
    answer = await ask(o.method, `${fill(o)}?nonsense=1`, { token: config.tokens.slow, body: goodBody(o) });
    if (answer.status !== 429) judgeProblem(`${o.what} in time, but wrong`, answer, [400]);
  }
  judgeProblem(`${o.what} too fast`, answer, [429]);
  check(`${o.what}: says when`, Number(answer.headers.get("retry-after")) >= 1, [...answer.headers]);
}

async function outOfScope(o) {
  const answer = await ask(o.method, fill(o), { token: config.tokens.narrow, body: goodBody(o) });
  judgeProblem(`${o.what} out of scope`, answer, [403]);
  if (!o.operation.description.includes("Role viewer")) {
    const viewer = await ask(o.method, fill(o), { token: config.tokens.viewer, body: goodBody(o) });
    judgeProblem(`${o.what} by a viewer`, viewer, [403]);
  }
}

async function invalid(o) {
  const token = config.tokens.admin, path = fill(o, config.ids);
  judgeProblem(`${o.what} with a parameter that is none`,
    await ask(o.method, `${path}?nonsense=1`, { token, body: goodBody(o) }), [400]);
  for (const parameter of o.operation.parameters.filter((p) => p.in === "query"))
    for (const value of wrongValues(parameter))
      judgeProblem(`${o.what} with ${parameter.name}=${value.slice(0, 30)}`, await ask(o.method,
        `${path}?${parameter.name}=${encodeURIComponent(value)}`, { token }), [400]);
  if (!changes(o)) return; // fetch sends no body with a GET
  const schema = o.operation.requestBody?.content["application/json"].schema;
  if (!schema) {
    judgeProblem(`${o.what} with a body`, await ask(o.method, path, { token, body: {} }), [400]);
    return;
  }
  judgeProblem(`${o.what} as text`, await ask(o.method, path, { token, body: "{}", headers: { "content-type": "text/plain" } }), [415]);
  for (const broken of ["{", "[]", "null", '{"a":1,"a":2}', ""])
    judgeProblem(`${o.what} with ${broken}`, await ask(o.method, path, { token, body: broken }), [400]);
  judgeProblem(`${o.what} with another member`, await ask(o.method, path, { token, body: { ...goodBody(o), nonsense: 1 } }), [422]);
  for (const member of schema.required ?? []) {
    const less = { ...goodBody(o) };
    delete less[member];
    judgeProblem(`${o.what} without ${member}`, await ask(o.method, path, { token, body: less }), [422]);
  }
  for (const member of Object.keys(schema.properties)) {
    const fits = ajv.compile(schema.properties[member]);
    for (const value of [[[]], 1e9, "x".repeat(70000), { no: [1] }, true].filter((value) => !fits(value)).slice(0, 3))
      judgeProblem(`${o.what} with ${member} wrong`, await ask(o.method, path,
        { token, body: { ...goodBody(o), [member]: value } }), [422]);
  }
}

function wrongValues(parameter) {
  if (parameter.name === "limit") return ["0", "201", "-1", "1.5", "", "9999999999999999999999"];
  if (parameter.name === "cursor") return ["x", "1", "1.", ".1", `-1.${NOBODY}`, `01.${NOBODY}`, `1.${NOBODY}x`,
    `99999999999999999999.${NOBODY}`, "1.1'; DROP TABLE calls", "\u0000"];
  const fits = ajv.compile(parameter.schema);
  return ["nonsense", "x".repeat(400), ""].filter((value) => !fits(value)).concat(["\u0000"]);
}

// All of an answer but the request's own id, wherever that stands, and the time of day.
function bare(answer) {
  const id = answer.headers.get("request-id");
  const headers = [...answer.headers].filter(([name]) => name !== "date");
  return JSON.stringify([answer.status, headers, answer.text]).replaceAll(id, "ID");
}

async function foreign(o) {
  const token = config.tokens.other, body = goodBody(o);
  await foreignFilters(o, token);
  if (!o.path.includes("{") || o.path.includes("{channel}") || o.method === "PUT") return; // PUT makes the caller's own
  const theirs = await ask(o.method, fill(o, config.ids), { token, body });
  const nobodys = await ask(o.method, fill(o), { token, body });
  judgeProblem(`${o.what} of another organisation`, theirs, [404]);
  check(`${o.what}: another's is like nobody's`, bare(theirs) === bare(nobodys), [bare(theirs), bare(nobodys)]);
  if (!body) return;
  const wrong = { ...body, nonsense: 1 };
  const [badTheirs, badNobodys] = [await ask(o.method, fill(o, config.ids), { token, body: wrong }),
    await ask(o.method, fill(o), { token, body: wrong })];
  check(`${o.what}: nor does a wrong body tell`, bare(badTheirs) === bare(badNobodys), [bare(badTheirs), bare(badNobodys)]);
}

// A list filtered by another's id, or going on from another's row, shows what it shows for an id that nobody has.
async function foreignFilters(o, token) {
  const own = o.path.includes("{") ? undefined : o.path;
  for (const parameter of own ? o.operation.parameters.filter((p) => p.in === "query" && p.schema.format === "uuid") : []) {
    const name = parameter.name.replace(/_id$/, "");
    const [theirs, nobodys] = [config.ids[`${name}s`] ?? config.ids[`${name}es`], NOBODY];
    check(`${o.what}: there is another's ${parameter.name}`, theirs !== undefined, parameter.name);
    const [one, other] = [await ask("GET", `${own}?${parameter.name}=${theirs}`, { token }),
      await ask("GET", `${own}?${parameter.name}=${nobodys}`, { token })];
    check(`${o.what} with another's ${parameter.name}`, one.status === 200 && one.json.items.length === 0 &&
      bare(one) === bare(other), [bare(one), bare(other)]);
  }
}

async function judgeDone(o, answer) {
  const token = config.tokens.admin;
  const good = Object.keys(o.operation.responses).filter((status) => status < "300").map(Number);
  check(o.what, good.includes(answer.status), [answer.status, answer.text]);
  judgeListed(o, o.what, answer);
  const where = answer.headers.get("location");
  if (where) {
    const there = await ask("GET", where, { token });
    check(`${o.what}: it is where Location says`, there.status === 200, [where, there.status, there.text]);
  }
  if (answer.json?.items) await pages(o, token);
}

const valid = async (o) => judgeDone(o, await ask(o.method, fill(o, config.ids),
  { token: config.tokens.admin, body: goodBody(o), headers: changes(o) ? { "idempotency-key": `once-${o.operation.operationId}` } : {} }));

// All of a page's items come, once each, one by one.
async function pages(o, token) {
  const whole = (await ask("GET", `${fill(o, config.ids)}?limit=200`, { token })).json.items.map((item) => item.id);
  const seen = [];
  for (let cursor = "", count = 0; cursor !== null && count < 300; count += 1) {
    const page = await ask("GET", `${fill(o, config.ids)}?limit=1${cursor && `&cursor=${cursor}`}`, { token });
    check(`${o.what}: a page`, page.status === 200, page.text);
    seen.push(...page.json.items.map((item) => item.id));
    cursor = page.json.next;
  }
  if (name(o) !== "list_audit") check(`${o.what}: page by page`, seen.join() === whole.join(), [seen, whole]);
}

async function repeated(o) {
  const token = config.tokens.admin, body = goodBody(o), path = fill(o, config.ids);
  const headers = { "idempotency-key": `twice-${o.operation.operationId}` };
  const answers = await Promise.all([0, 1, 2].map(() => ask(o.method, path, { token, body, headers })));
  const statuses = answers.map((answer) => answer.status).sort().join();
  const firsts = answers.filter((answer) => answer.status < 300 && !answer.headers.get("idempotent-replay"));
  check(`${o.what}: done once with one key`, firsts.length === 1, [statuses, answers.map((a) => a.text)]);
  if (firsts.length) await judgeDone(o, firsts[0]);
  const other = await ask(o.method, path, { token, headers: { "idempotency-key": "bad key" }, body });
  judgeProblem(`${o.what} with a key that is none`, other, [400]);
  if (body)
    judgeProblem(`${o.what}: another body under the same key`, await ask(o.method, path,
      { token, body: JSON.stringify(body) + " ", headers }), [422]);
}

for (const o of operations) {
  await withoutToken(o);
  await tooFast(o);
  await outOfScope(o);
  await invalid(o);
  await foreign(o);
}
for (const o of operations.filter((o) => !changes(o))) await valid(o);
for (const o of operations.filter((o) => o.method === "PATCH" || o.method === "PUT")) await valid(o);
for (const o of operations.filter((o) => o.method === "POST")) {
  if (config.refused[name(o)]) {
    judgeProblem(`${o.what}, which cannot be now`, await ask(o.method, fill(o, config.ids),
      { token: config.tokens.admin, body: goodBody(o) }), [config.refused[name(o)]]);
    continue;
  }
  await repeated(o);
}
for (const o of operations.filter((o) => o.method === "DELETE")) await valid(o);
for (const path of ["/api/", "/api/nothing", "/api/calls/", "/api/calls/%41"])
  judgeProblem(`GET ${path}`, await ask("GET", path, { token: config.tokens.admin }), [404]);
const wrongMethod = await ask("DELETE", "/api/calls", { token: config.tokens.admin });
judgeProblem("DELETE /api/calls", wrongMethod, [405]);
check("405 names what there is", wrongMethod.headers.get("allow") === "GET", wrongMethod.headers.get("allow"));

console.log(failures.slice(0, 40).join("\n"));
console.log(`${operations.length} operations: ${passed} passed, ${failures.length} failed`);
process.exit(failures.length ? 1 : 0);
