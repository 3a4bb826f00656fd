import {
  ConflictError,
  ErgonError,
  InvalidError,
  NotFoundError,
  RetryableError,
  StaleError,
  TerminalError,
  UnavailableError,
  errorCodes,
  isErgonError,
  type ErrorCode,
  type Headers,
  type Message,
} from "@ergon/core";
import { H, decodeError, encodeError, errorFrom, headerText } from "@ergon/core/engine";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const messageOf = (data: Uint8Array, headers: Headers): Message => ({
  subject: "in.box",
  data,
  reply: undefined,
  header: (name) => headers[name],
  headers: () => headers,
  noResponders: false,
});

/** What arrives at the other end of the wire. */
const sent = (error: unknown): ErgonError | undefined => {
  const { data, headers } = encodeError(error);
  return decodeError(messageOf(data, headers));
};

const classes = {
  invalid: InvalidError,
  "not-found": NotFoundError,
  conflict: ConflictError,
  stale: StaleError,
  unavailable: UnavailableError,
  retryable: RetryableError,
  terminal: TerminalError,
} as const;

describe("an error over the wire", () => {
  test.for(Object.entries(errorCodes) as [ErrorCode, (typeof errorCodes)[ErrorCode]][])(
    "%s has the same class, code and status over the wire (M-21)",
    ([code, { kind, status }]) => {
      const error = errorFrom(kind, code, "what to do next", {
        retryAfterMs: 250,
        issues: [{ field: "a", code, message: "b" }],
      });

      const back = sent(error);

      expect(error).toBeInstanceOf(classes[kind]);
      expect(back).toBeInstanceOf(classes[kind]);
      expect(back).toMatchObject({
        name: error.name,
        code,
        kind,
        status,
        message: "what to do next",
        retryAfterMs: 250,
        issues: error.issues,
      });
      expect(isErgonError(back)).toBe(true);
    },
  );

  test("an error of an unknown kind is terminal after the wire (M-21)", () => {
    const { data, headers } = encodeError(new RetryableError("X", "y"));
    const back = decodeError(messageOf(data, { ...headers, [H.errorKind]: "from-the-future" }));
    expect(back).toBeInstanceOf(TerminalError);
    expect(back?.code).toBe("X");
  });

  test("an error of a plain NATS micro service is a failure that may be retried", () => {
    const back = decodeError(
      messageOf(Buffer.from("whatever"), { [H.serviceErrorCode]: "503", [H.serviceError]: "try later" }),
    );
    expect(back).toBeInstanceOf(RetryableError);
    expect(back).toMatchObject({ code: "AGENT_FAILED", message: "try later" });
    expect(decodeError(messageOf(new Uint8Array(), { [H.serviceErrorCode]: "400" }))?.message).toBe(
      "service error 400",
    );
  });

  test("any foreign error is INTERNAL on the wire, with its text", () => {
    expect(sent(new Error("boom"))).toMatchObject({ code: "INTERNAL", kind: "terminal", message: "boom" });
    expect(sent("text")).toMatchObject({ code: "INTERNAL", message: "text" });
  });

  test("a message without an error's headers has no error", () => {
    expect(decodeError(messageOf(Buffer.from("{}"), {}))).toBeUndefined();
  });

  test("an error whose body is malformed has no issues, and is read all the same", () => {
    const { headers } = encodeError(new InvalidError("INVALID_OPTION", "x"));
    expect(decodeError(messageOf(Buffer.from("{not json"), headers))?.issues).toEqual([]);
    expect(decodeError(messageOf(Buffer.from('{"issues":7}'), headers))?.issues).toEqual([]);
  });

  test("an error puts no control character and no line break into a header, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 2_000 }), (text) => {
        const { headers } = encodeError(new TerminalError("X", text));
        // oxlint-disable-next-line no-control-regex
        return Object.values(headers).every((value) => !/[\u0000-\u001f\u007f]/.test(value) && value.length <= 1_024);
      }),
    );
    expect(headerText("a\r\nEvil: b")).toBe("a Evil: b");
  });

  test("an error of another copy of the package is recognised by its shape", () => {
    class Foreign extends Error {
      readonly code = "X";
      readonly kind = "conflict";
      readonly issues = [];
    }
    expect(isErgonError(new Foreign("y"))).toBe(true);
    expect(isErgonError(Object.assign(new Error("x"), { code: "ENOENT" }))).toBe(false);
  });
});

describe("codes", () => {
  test("the status of a code tells whether the client or the server is at fault", () => {
    for (const [, { kind, status }] of Object.entries(errorCodes)) {
      const client = kind === "invalid" || kind === "not-found" || kind === "conflict" || kind === "stale";
      expect(client ? status >= 400 && status < 500 : true).toBe(true);
    }
    expect(new TerminalError("OWN", "x").status).toBe(500);
    expect(new ErgonError("invalid", "OWN", "x").status).toBe(400);
  });

  test("the cause is kept in-process", () => {
    const cause = new Error("why");
    expect(new UnavailableError("NO_NODE", "x", { cause }).cause).toBe(cause);
  });
});
