// Checks recorded requests and answers: REST against GitHub's OpenAPI description, GraphQL against its schema.
//
// A request that the stand-in refused as unexpected is not checked: its test expects that. An answer that a fault made
// is not checked either.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import { buildSchema, getVariableValues, Kind, parse, validate } from "graphql";

const packageRoot = (name) => join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "node_modules", name);

const api = JSON.parse(readFileSync(join(packageRoot("@octokit/openapi"), "generated/api.github.com.json"), "utf8"));
const schema = buildSchema(readFileSync(join(packageRoot("@octokit/graphql-schema"), "schema.graphql"), "utf8"), {
  // GitHub publishes some fields twice.
  assumeValid: true,
});

const version = (name) => JSON.parse(readFileSync(join(packageRoot(name), "package.json"), "utf8")).version;
const directory = process.argv[2];
const records = readdirSync(directory)
  .filter((name) => name.endsWith(".jsonl"))
  .flatMap((name) => readFileSync(join(directory, name), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line)));

// --- the description as JSON Schema --------------------------------------------------------------------------------

// OpenAPI 3.0's `nullable` becomes a type of JSON Schema; bodies of requests know no members but the described ones.
function toJsonSchema(schema, closed) {
  if (Array.isArray(schema)) return schema.map((part) => toJsonSchema(part, closed));
  if (schema === null || typeof schema !== "object") return schema;
  const copy = {};
  for (const [key, value] of Object.entries(schema)) {
    if (["nullable", "example", "examples", "discriminator", "xml", "deprecated", "externalDocs"].includes(key)) continue;
    if (key === "enum" || key === "default" || key === "const") copy[key] = value;
    else if (key === "properties") {
      copy.properties = Object.fromEntries(Object.entries(value).map(([name, of]) => [name, toJsonSchema(of, closed)]));
    } else copy[key] = toJsonSchema(value, closed);
  }
  const composed = ["allOf", "anyOf", "oneOf"].some((key) => key in copy);
  if (closed && copy.properties && !composed && !("additionalProperties" in copy)) copy.additionalProperties = false;
  if (schema.nullable === true) return { anyOf: [copy, { type: "null" }] };
  return copy;
}

const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: true });
addFormats(ajv);
ajv.addFormat("repo.nwo", true);
ajv.addFormat("ssh-key", true);
ajv.addFormat("ssh-key fingerprint", true);
ajv.addFormat("git-sha", true);
ajv.addSchema({ $id: "github", components: toJsonSchema(api.components, false) });

const compiled = new Map();
function validator(schema, closed) {
  if (!compiled.has(schema)) {
    const local = JSON.stringify(toJsonSchema(schema, closed)).replaceAll('"#/components/', '"github#/components/');
    compiled.set(schema, ajv.compile(JSON.parse(local)));
  }
  return compiled.get(schema);
}

const resolve = (thing) => {
  if (!thing?.$ref) return thing;
  return thing.$ref.slice(2).split("/").reduce((at, key) => at[key.replaceAll("~1", "/").replaceAll("~0", "~")], api);
};

// --- REST ------------------------------------------------------------------------------------------------------------

// Parameters whose values hold slashes; the description cannot say so.
const MANY_SEGMENTS = new Set(["ref", "path", "basehead", "branch"]);

const paths = Object.keys(api.paths).map((path) => {
  const parts = path.split("/").filter(Boolean);
  const pattern = parts.map((part) => {
    const name = part.match(/^\{(.+)\}$/)?.[1];
    if (!name) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return MANY_SEGMENTS.has(name) ? ".*" : "[^/]+";
  });
  const literal = parts.filter((part) => !part.startsWith("{")).length;
  return { path, regex: new RegExp(`^${pattern.join("/")}$`), literal };
});

// Of several that fit, the one with most fixed parts is meant.
const operation = (method, path) => {
  const fitting = paths.filter((candidate) => candidate.regex.test(path) && api.paths[candidate.path][method]);
  fitting.sort((a, b) => b.literal - a.literal);
  return fitting[0] && { ...fitting[0], ...api.paths[fitting[0].path][method] };
};

const said = (validate) => validate.errors.map((error) => {
  const more = error.params.additionalProperty ?? error.params.allowedValues ?? "";
  return `${error.instancePath || "the whole"} ${error.message} ${more}`.trim();
}).join("; ");

function checkRest(record, complain) {
  const found = operation(record.method.toLowerCase(), record.path);
  if (!found) return complain(`no operation ${record.method} ${record.path} is described`);
  const parameters = (found.parameters ?? []).map(resolve);
  const known = new Map(parameters.filter((of) => of.in === "query").map((of) => [of.name, of]));
  for (const [name, text] of record.query) {
    const parameter = known.get(name);
    if (!parameter) complain(`query parameter ${name} is not described`);
    else if (parameter.schema) {
      const type = resolve(parameter.schema).type;
      const value = type === "integer" ? Number(text) : type === "boolean" ? text === "true" : text;
      const check = validator(parameter.schema, false);
      if (!check(value)) complain(`query parameter ${name}=${text}: ${said(check)}`);
    }
  }
  const content = resolve(found.requestBody)?.content?.["application/json"];
  if (record.body !== null && !content && Object.keys(record.body).length > 0) complain("a body is not described");
  if (record.body !== null && content) {
    const check = validator(content.schema, true);
    if (!check(record.body)) complain(`body: ${said(check)}`);
  }
  if (!record.fault) checkAnswer(record, found, complain);
}

// Statuses that any operation may answer, with the common form of errors.
const ANYWHERE = new Set([301, 304, 307, 400, 401, 403, 404, 405, 409, 415, 422, 429, 500]);

function checkAnswer(record, found, complain) {
  const described = resolve(found.responses[String(record.status)]);
  if (!described && !ANYWHERE.has(record.status)) return complain(`status ${record.status} is not described`);
  const content = described?.content?.["application/json"];
  if (record.answer === null) return;
  if (content) {
    const check = validator(content.schema, false);
    if (!check(record.answer)) complain(`answer ${record.status}: ${said(check)}`);
  } else if (record.status >= 400 && typeof record.answer.message !== "string") {
    complain(`answer ${record.status} has no message`);
  }
}

// --- webhooks --------------------------------------------------------------------------------------------------------

function checkDelivery(record, complain) {
  const check = validator(resolve(api["x-webhooks"][record.event].post.requestBody).content["application/json"].schema, false);
  if (!check(record.payload)) complain(`payload: ${said(check)}`);
}

// --- GraphQL ---------------------------------------------------------------------------------------------------------

function checkGraphql(record, complain) {
  const document = parse(record.body.query);
  for (const error of validate(schema, document)) complain(`GraphQL: ${error.message}`);
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  const wanted = record.body.operationName;
  const meant = operations.find((definition) => !wanted || definition.name?.value === wanted);
  const values = getVariableValues(schema, meant.variableDefinitions ?? [], record.body.variables ?? {});
  for (const error of values.errors ?? []) complain(`GraphQL: ${error.message}`);
}

// The part of the schema that the stand-in models says what GitHub's says.
function checkExcerpt(complain) {
  const excerpt = buildSchema(`scalar GitObjectID scalar GitRefname scalar GitTimestamp scalar Base64String scalar URI
    scalar DateTime ${readFileSync(process.argv[3], "utf8")}`);
  for (const [name, type] of Object.entries(excerpt.getTypeMap())) {
    const whole = schema.getType(name);
    if (!whole) complain(`there is no type ${name}`);
    if (name.startsWith("__") || !type.getFields || !whole) continue;
    for (const [field, of] of Object.entries(type.getFields())) {
      const described = whole.getFields()[field];
      if (String(described?.type) !== String(of.type)) complain(`${name}.${field} is ${described?.type}, not ${of.type}`);
      for (const argument of of.args ?? []) {
        const known = described?.args.find((other) => other.name === argument.name);
        if (String(known?.type) !== String(argument.type)) complain(`${name}.${field}(${argument.name}) is ${known?.type}`);
      }
    }
  }
}

// --- the whole -------------------------------------------------------------------------------------------------------

const complaints = new Map();
const complaining = (what, test) => (words) => {
  const line = `${what}: ${words}`;
  complaints.set(line, (complaints.get(line) ?? new Set()).add(test));
};
checkExcerpt(complaining("schema.graphql", "the stand-in"));
let requests = 0;
for (const record of records) {
  if (record.unexpected) continue;
  requests += 1;
  const complain = complaining(record.route, record.test);
  if (record.event) checkDelivery(record, complain);
  else if (record.path === "graphql") checkGraphql(record, complain);
  else checkRest(record, complain);
}
if (requests === 0) {
  console.error(`no request was recorded in ${directory}: run the tests with FGD_TEST_GITHUB_RECORD`);
  process.exit(1);
}
for (const [line, tests] of complaints) console.error(`${line}\n    in ${[...tests].slice(0, 3).join(", ")}`);
const routes = new Set(records.map((record) => record.route)).size;
const versions = `REST ${version("@octokit/openapi")}, GraphQL ${version("@octokit/graphql-schema")}`;
console.log(`${requests} requests over ${routes} routes against GitHub's descriptions (${versions}): ${complaints.size} complaints`);
process.exit(complaints.size === 0 ? 0 : 1);
