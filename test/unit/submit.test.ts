import { InvalidError, taskDefaults, taskLimits, type Headers, type Issue, type Message } from "@ergon/core";
import {
  BYTES_TYPE,
  H,
  JSON_TYPE,
  MSGPACK_TYPE,
  TEXT_TYPE,
  decodeBody,
  describeContent,
  encodeBody,
  mediaType,
  numberFields,
  parseSubmitMessage,
  parseTaskRequest,
  type Submission,
} from "@ergon/core/engine";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const messageOf = (headers: Headers, data: Uint8Array = Buffer.from("x")): Message => ({
  subject: "submit",
  data,
  reply: undefined,
  header: (name) => headers[name],
  headers: () => headers,
  noResponders: false,
});
const fromHeaders = (headers: Headers, driver = "d"): Submission => parseSubmitMessage(messageOf(headers), driver);
const fromObject = (more: object): Submission => parseTaskRequest({ driver: "d", payload: Buffer.from("x"), ...more });

/** The faults found, as `field code`. */
function faultsOf(parse: () => unknown): string[] {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof InvalidError)) throw error;
    return error.issues.map(({ field, code }: Issue) => `${field} ${code}`);
  }
  return [];
}

/** An option in an object, nested where it belongs. */
const inObject = (path: string, value: unknown): object =>
  path.startsWith("retry.") ? { retry: { [path.slice(6)]: value } } : { [path]: value };
const valueOf = ({ spec }: Submission, { retry, target }: { retry: boolean; target: string }): unknown =>
  ((retry ? spec.options?.retry : spec.options) as Record<string, unknown> | undefined)?.[target];

describe.each(numberFields.map((field) => [field.path, field] as const))("the option %s", (path, field) => {
  const within =
    field.kind === "duration" || field.kind === "integer"
      ? [field.min, field.max]
      : [field.min, field.max, (field.min + field.max) / 2];
  const middle = Math.min(field.max, Math.max(field.min, field.fallback + 1));

  test("an option means the same in a header and in an object", () => {
    for (const value of [...within, middle]) {
      const [one, other] = [fromHeaders({ [field.header]: String(value) }), fromObject(inObject(path, value))];
      expect(one.spec.options).toEqual(other.spec.options);
      expect(valueOf(one, field) ?? field.fallback).toBe(value);
    }
  });

  test("an option is left out where it is the default", () => {
    expect(valueOf(fromObject(inObject(path, field.fallback)), field)).toBeUndefined();
    const defaults: Record<string, unknown> = field.retry ? { ...taskDefaults.retry } : { ...taskDefaults };
    expect(defaults[field.target]).toBe(field.fallback);
  });

  test.each([
    ["below its least", field.min - 1],
    ["above its most", field.max + 1],
    ["NaN", Number.NaN],
    ["infinite", Number.POSITIVE_INFINITY],
    ["a word", "many"],
    ["empty", ""],
    ["an object", {}],
    ["null", null],
    ["a truth", true],
  ])("an option is refused when it is %s, by its name in each form", (_, value) => {
    expect(faultsOf(() => fromObject(inObject(path, value)))).toEqual([`${path} INVALID_OPTION`]);
  });

  test.each(["-1", "many", "", "NaN", "1e99", "0x10"])("an option is refused when its header says %j", (text) => {
    expect(faultsOf(() => fromHeaders({ [field.header]: text }))).toEqual([`${field.header} INVALID_OPTION`]);
  });
});

describe("durations", () => {
  test("durations may be written as people write them, in both forms", () => {
    expect(fromHeaders({ [H.attemptTimeout]: "1h30m" }).spec.options).toEqual({ attemptTimeoutMs: 5_400_000 });
    expect(fromObject({ attemptTimeout: "1h30m" }).spec.options).toEqual({ attemptTimeoutMs: 5_400_000 });
  });

  test("the text of an integer is not a duration in any form", () => {
    expect(faultsOf(() => fromObject({ priority: "5s" }))).toEqual(["priority INVALID_OPTION"]);
    expect(faultsOf(() => fromObject({ priority: 1.5 }))).toEqual(["priority INVALID_OPTION"]);
  });
});

describe("the other options", () => {
  test("the other options mean the same in headers and in an object", () => {
    const headers = {
      [H.id]: "mine",
      [H.correlationId]: "c-1",
      [H.resource]: "https://example.com/a",
      [H.contentType]: "text/plain",
      [H.arguments]: '{"a":"1","b":""}',
      [H.tags]: "red, blue",
      [H.delay]: "5s",
      [H.retryNever]: "A,B",
    };
    const object = {
      id: "mine",
      correlationId: "c-1",
      resource: "https://example.com/a",
      contentType: "text/plain",
      arguments: { a: "1", b: "" },
      tags: ["red", "blue"],
      delay: "5s",
      retry: { never: ["A", "B"] },
    };

    const one = fromHeaders(headers);

    expect(one).toEqual(fromObject(object));
    expect(one).toEqual({
      spec: {
        driver: "d",
        payload: Buffer.from("x"),
        id: "mine",
        correlationId: "c-1",
        resource: "https://example.com/a",
        contentType: "text/plain",
        arguments: { a: "1", b: "" },
        tags: ["red", "blue"],
        options: { retry: { never: ["A", "B"] } },
      },
      delayMs: 5_000,
    });
  });

  test("a time may be milliseconds since 1970", () => {
    expect(fromHeaders({ [H.notBefore]: "1893456000000" }).spec.notBefore).toBe(1_893_456_000_000);
    expect(fromObject({ notBefore: 1_893_456_000_000 }).spec.notBefore).toBe(1_893_456_000_000);
  });

  const long = (length: number): string => "x".repeat(length);
  test.each<[string, object, string]>([
    ["an id with a dot", { id: "a.b" }, "id INVALID_ID"],
    ["an id that is too long", { id: long(129) }, "id INVALID_ID"],
    ["an empty id", { id: "" }, "id INVALID_ID"],
    ["a resource that is too long", { resource: long(taskLimits.resourceLength + 1) }, "resource INVALID_OPTION"],
    ["a line break in a resource", { resource: "a\nb" }, "resource INVALID_OPTION"],
    [
      "a content type that is too long",
      { contentType: long(taskLimits.contentTypeLength + 1) },
      "contentType INVALID_OPTION",
    ],
    ["a correlation id that is too long", { correlationId: long(129) }, "correlationId INVALID_OPTION"],
    [
      "too many tags",
      { tags: Array.from({ length: taskLimits.tags + 1 }, (_, index) => `t${index}`) },
      "tags INVALID_OPTION",
    ],
    ["a tag that is too long", { tags: [long(taskLimits.tagLength + 1)] }, "tags INVALID_OPTION"],
    ["a tag with a comma", { tags: ["a,b"] }, "tags INVALID_OPTION"],
    ["tags that are no list", { tags: "a" }, "tags INVALID_OPTION"],
    [
      "too many codes",
      { retry: { never: Array.from({ length: taskLimits.neverCodes + 1 }, () => "X") } },
      "retry.never INVALID_OPTION",
    ],
    ["a retry that is no object", { retry: 3 }, "retry INVALID_OPTION"],
    [
      "too many arguments",
      { arguments: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`a${index}`, ""])) },
      "arguments INVALID_OPTION",
    ],
    ["arguments that are too long", { arguments: { a: long(taskLimits.argumentsBytes) } }, "arguments INVALID_OPTION"],
    ["an argument that is no text", { arguments: { a: 1 } }, "arguments.a INVALID_OPTION"],
    [
      "an argument whose name no record keeps",
      { arguments: JSON.parse('{"__proto__":"a"}') as object },
      "arguments.__proto__ INVALID_OPTION",
    ],
    ["arguments that are a list", { arguments: [] }, "arguments INVALID_OPTION"],
    ["a delay beyond the longest", { delay: "401d" }, "delay INVALID_OPTION"],
    ["a negative delay", { delay: -1 }, "delay INVALID_OPTION"],
    ["a time that is none", { notBefore: "tomorrow" }, "notBefore INVALID_OPTION"],
    ["an option that is unknown", { prioritty: 5 }, "prioritty UNKNOWN_OPTION"],
    ["a retry option that is unknown", { retry: { times: 5 } }, "retry.times UNKNOWN_OPTION"],
    ["two payloads", { text: "a" }, "payload INVALID_OPTION"],
    ["base64 that is none", { payload: undefined, base64: "?" }, "base64 INVALID_OPTION"],
    ["a text that is none", { payload: undefined, text: 5 }, "text INVALID_OPTION"],
  ])("%s is refused", (_, more, fault) => {
    expect(faultsOf(() => fromObject(more))).toEqual([fault]);
  });

  test.each([
    ["an unknown header of ours", { "Ergon-Colour": "red" }, "Ergon-Colour UNKNOWN_OPTION"],
    ["arguments that are no JSON", { [H.arguments]: "{a" }, `${H.arguments} INVALID_OPTION`],
    ["arguments that are no object", { [H.arguments]: "[]" }, "Ergon-Arguments INVALID_OPTION"],
    ["an id with a space", { [H.id]: "a b" }, "Ergon-Id INVALID_ID"],
    ["a delay beside a time", { [H.delay]: "5s", [H.notBefore]: "2030-01-31T08:00:00Z" }, "Ergon-Delay INVALID_OPTION"],
    ["a wait that is too long", { [H.wait]: "2h" }, "Ergon-Wait INVALID_OPTION"],
    ["an answer of another kind", { [H.answer]: "no" }, "Ergon-Answer INVALID_OPTION"],
    ["a state to wait for", { [H.until]: "state:a" }, "Ergon-Until UNKNOWN_OPTION"],
    ["a name in small letters", { "ergon-id": "a" }, "ergon-id UNKNOWN_OPTION"],
    ["a content type in small letters", { "content-type": "text/plain" }, "content-type UNKNOWN_OPTION"],
    ["a tag with a control character", { [H.tags]: "a\u0000b" }, "Ergon-Tags INVALID_OPTION"],
    ["a resource with half a character", { [H.resource]: "a\ud800" }, "Ergon-Resource INVALID_OPTION"],
  ])("%s is refused", (_, headers, fault) => {
    expect(faultsOf(() => fromHeaders(headers as unknown as Headers))).toEqual([fault]);
  });

  test("an argument named as no reader keeps it is refused", () => {
    const parse = (): unknown => fromHeaders({ [H.arguments]: '{"__proto__":"x"}' });
    expect(faultsOf(parse)).toEqual(["Ergon-Arguments.__proto__ INVALID_OPTION"]);
  });

  test.each([
    ["a byte order mark", "\ufeffurn:x"],
    ["a no-break space", "urn:x\u00a0"],
    ["a wide space", "\u3000x"],
  ])("%s at an end of a text stays there, in both forms", (_, resource) => {
    expect(fromHeaders({ [H.resource]: resource }).spec.resource).toBe(resource);
    expect(fromObject({ resource }).spec.resource).toBe(resource);
  });

  test.each([
    ["a text that ends with a space", { resource: "urn:x " }, "resource"],
    ["half a character in a text", { correlationId: "x\ud800y" }, "correlationId"],
    ["half a character in an argument", { arguments: { a: "\udc00" } }, "arguments.a"],
    ["half a character in a payload's text", { payload: undefined, text: "\ud83d" }, "text"],
    ["half a character in a tag", { tags: ["\ud83d"] }, "tags"],
    ["NUL in a tag", { tags: ["a\u0000"] }, "tags"],
    ["an infinite number", { payload: { a: [1, Number.POSITIVE_INFINITY] } }, "payload.a[1]"],
    ["what is no number", { payload: { a: Number.NaN } }, "payload.a"],
    ["a large integer", { payload: { a: 1n } }, "payload.a"],
    ["a map", { payload: { a: new Map([[1, 2]]) } }, "payload.a"],
    ["bytes in a JSON value", { payload: { a: Buffer.of(1) } }, "payload.a"],
    ["a delay beside a time", { delay: 5, notBefore: 5 }, "delay"],
  ])("%s is refused by its name in an object", (_, more, field) => {
    expect(faultsOf(() => fromObject(more))).toEqual([`${field} INVALID_OPTION`]);
  });

  test("headers that are not ours are left alone", () => {
    expect(fromHeaders({ "X-Trace": "1", "Nats-Msg-Id": "2" }).spec).toEqual({
      driver: "d",
      payload: Buffer.from("x"),
    });
  });

  test.each(["", "a b", "a.b", "*", ">", "x".repeat(65), "ä"])(
    "driver %j is refused, in both forms (B-4)",
    (driver) => {
      expect(faultsOf(() => fromHeaders({}, driver))).toEqual(["driver INVALID_DRIVER"]);
      expect(faultsOf(() => fromObject({ driver }))).toEqual(["driver INVALID_DRIVER"]);
    },
  );

  test("every fault is told at once, not only the first (B-5)", () => {
    expect(
      faultsOf(() =>
        fromObject({ driver: "?", id: "!", priority: 10, tags: [""], colour: "red", retry: { jitter: 2 } }),
      ).toSorted(),
    ).toEqual([
      "colour UNKNOWN_OPTION",
      "driver INVALID_DRIVER",
      "id INVALID_ID",
      "priority INVALID_OPTION",
      "retry.jitter INVALID_OPTION",
      "tags INVALID_OPTION",
    ]);
    expect(() => fromObject({ id: "!", priority: 10 })).toThrow(
      /priority: must be a whole number from 0 to 9.*\(and 1 more\)/,
    );
  });

  test.each([undefined, null, "text", 5, [], Buffer.from("x")])("%j instead of an object is refused", (input) => {
    expect(() => parseTaskRequest(input)).toThrow(expect.objectContaining({ code: "INVALID_BODY" }) as Error);
  });

  test("no object makes the reader throw anything but what is wrong with it", () => {
    const anyObject = fc.dictionary(
      fc.constantFrom(
        "driver",
        "id",
        "tags",
        "retry",
        "arguments",
        "delay",
        "notBefore",
        "payload",
        "text",
        "base64",
        "priority",
        "contentType",
        "zzz",
      ),
      fc.jsonValue(),
    );
    expect(() =>
      fc.assert(
        fc.property(anyObject, (input) => {
          try {
            parseTaskRequest(input);
            return true;
          } catch (error) {
            return error instanceof InvalidError;
          }
        }),
        { numRuns: 1_000 },
      ),
    ).not.toThrow();
  });
});

describe("payloads", () => {
  test.each([
    ["bytes", { payload: Buffer.from([0, 255]) }, Buffer.from([0, 255]), undefined],
    ["a JSON value", { payload: { a: 1 } }, Buffer.from('{"a":1}'), JSON_TYPE],
    ["null", { payload: null }, Buffer.from("null"), JSON_TYPE],
    ["a text", { text: "é" }, Buffer.from("é"), TEXT_TYPE],
    ["base64", { base64: "AP8=" }, Buffer.from([0, 255]), BYTES_TYPE],
    ["nothing", {}, Buffer.from(""), undefined],
    ["bytes with a type", { payload: Buffer.from("<a/>"), contentType: "text/xml" }, Buffer.from("<a/>"), "text/xml"],
  ])("%s", (_, more, payload, contentType) => {
    const { spec } = parseTaskRequest({ driver: "d", ...more });
    expect(Buffer.compare(spec.payload, payload)).toBe(0);
    expect(spec.contentType).toBe(contentType);
  });
});

describe("bodies", () => {
  // A key "__proto__" is given another name by the reader of MessagePack, so that it cannot reach a prototype.
  const anyBody = fc.jsonValue({ maxDepth: 4 }).filter((value) => !JSON.stringify(value).includes("__proto__"));

  test.each([JSON_TYPE, MSGPACK_TYPE])("bodies in %s come back as they were sent", (type) => {
    expect(() =>
      fc.assert(
        fc.property(anyBody, (value) => {
          const plain = JSON.parse(JSON.stringify(value)) as unknown;
          expect(decodeBody(encodeBody(plain, type), type)).toEqual(plain);
        }),
      ),
    ).not.toThrow();
  });

  test.each([
    [undefined, ""],
    ["Application/JSON; charset=utf-8", "application/json"],
    [" text/plain ", "text/plain"],
    ["", ""],
  ])("the media type of %j is %j", (contentType, type) => {
    expect(mediaType(contentType)).toBe(type);
  });

  test.each([
    ["JSON that is none", Buffer.from("{"), JSON_TYPE, "INVALID_BODY"],
    ["text that is not UTF-8", Buffer.from([0xff]), JSON_TYPE, "INVALID_BODY"],
    ["a body that is cut", Buffer.from([0x92, 1]), MSGPACK_TYPE, "INVALID_BODY"],
    ["an unknown type", Buffer.from("x"), "text/csv", "UNSUPPORTED_CONTENT_TYPE"],
  ])("%s is refused (B-45)", (_, data, type, code) => {
    expect(() => decodeBody(data, type)).toThrow(expect.objectContaining({ code }) as Error);
  });

  test("a body without a type is JSON", () => {
    expect(decodeBody(Buffer.from('{"a":1}'), undefined)).toEqual({ a: 1 });
  });

  test.each([
    ["JSON", Buffer.from('{"a":1}'), JSON_TYPE, { contentType: JSON_TYPE, json: { a: 1 } }],
    ["what is called JSON and is not", Buffer.from("{"), JSON_TYPE, { contentType: JSON_TYPE, text: "{" }],
    ["text", Buffer.from("é"), "text/plain", { contentType: "text/plain", text: "é" }],
    ["bytes", Buffer.from([0xff]), undefined, { base64: "/w==" }],
    ["nothing", Buffer.from(""), "", { text: "" }],
  ])("%s is shown as what it is", (_, data, type, content) => {
    expect(describeContent(data, type)).toEqual(content);
  });
});
