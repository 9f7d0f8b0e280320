// Judges Realtime events by OpenAI's own description of them (tests/data/openai-realtime.schema.json),
// and more strictly than it: members it does not name are wrong.
//   node realtime_schema.mjs RECORD.jsonl     judges what practice-ai --record wrote
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = new URL('../data/openai-realtime.schema.json', import.meta.url);

function strictly(schema) {
  if (Array.isArray(schema)) return schema.map(strictly);
  if (schema === null || typeof schema !== 'object') return schema;
  const result = {};
  for (const [key, value] of Object.entries(schema)) {
    const named = key === 'properties' || key === '$defs';
    result[key] = named
      ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, strictly(member)]))
      : strictly(value);
  }
  if (result.properties && !('additionalProperties' in result)) result.additionalProperties = false;
  return result;
}

const document = strictly(JSON.parse(readFileSync(file, 'utf8')));
const ajv = new Ajv2020({ strict: false, allErrors: false });
addFormats(ajv);
ajv.addFormat('unixtime', true);
ajv.addSchema(document, 'realtime');

function table(union) {
  const validators = new Map();
  for (const { $ref } of document.$defs[union].anyOf) {
    const name = $ref.replace('#/$defs/', '');
    const type = document.$defs[name].properties.type;
    validators.set(type.const ?? type.enum[0], ajv.getSchema(`realtime#/$defs/${name}`));
  }
  return validators;
}
const judges = { client: table('RealtimeClientEvent'), server: table('RealtimeServerEvent') };

// What is wrong with an event from 'client' or 'server', or null.
export function wrongWith(event, from) {
  const validate = judges[from].get(event.type);
  if (!validate) return `${from} event of unknown type ${event.type}`;
  if (validate(event)) return null;
  const { instancePath, message, params } = validate.errors.at(-1);
  return `${event.type}${instancePath} ${message} ${JSON.stringify(params)}`;
}

export function judgeRecord(path) {
  const counts = new Map();
  const faults = [];
  for (const line of readFileSync(path, 'utf8').trim().split('\n')) {
    const { event, from } = JSON.parse(line);
    counts.set(`${from} ${event.type}`, (counts.get(`${from} ${event.type}`) ?? 0) + 1);
    const fault = wrongWith(event, from);
    if (fault) faults.push(fault);
  }
  return { counts, faults };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { counts, faults } = judgeRecord(process.argv[2]);
  for (const fault of faults) console.error(fault);
  console.log(`${[...counts.values()].reduce((a, b) => a + b, 0)} events of ${counts.size} kinds, ${faults.length} wrong`);
  process.exit(faults.length ? 1 : 0);
}
