import { connect, isErgonError } from "@ergon/core";
import { describe, expect, test } from "vitest";

/** Nobody listens on the ports: what is said is all that matters. */
const failure = (servers: string | readonly string[]): Promise<unknown> =>
  connect({ nats: { servers } }).catch((error: unknown) => error);
const PARTS = /secret|sec|ret|joe/;

describe("an address of a server that is none", () => {
  test.for([
    ["nats://joe:secret@:99999999", "servers: the address is not that of a server"],
    ["joe:secret@host:99999999", "servers: the address is not that of a server"],
    ["nats://joe:a@secret@host:99999999", "servers: the address is not that of a server"],
    ["nats://joe:sec,ret@h", "servers: address 1 of 2 is not that of a server"],
    ["nats://joe:12,ret@127.0.0.1:1", "servers: address 2 of 2 has a user but does not begin with nats:// or tls://"],
    ["nats://a:1,nats://joe:secret", "servers: address 2 of 2 is not that of a server"],
    ["nats://joe:secret%@127.0.0.1:1", 'servers: the address has a "%"'],
    ["nats://joe%:secret@127.0.0.1:1", 'servers: the address has a "%"'],
    ["nats://joe:se/cret@127.0.0.1:1", "servers: the address is not that of a server"],
    ["nats://joe:12/secret@127.0.0.1:1", "servers: the address is not that of a server"],
    ["nats://joe:12#secret@127.0.0.1:1", "servers: the address is not that of a server"],
    ["nats://joe:12?secret@127.0.0.1:1", "servers: the address is not that of a server"],
    ["http://joe:secret@127.0.0.1:1", "servers: the address must begin with nats:// or tls://"],
    ["", "servers: the address is not that of a server"],
  ])("%s is refused without a part of its user or password, and says which it is", async ([servers = "", text]) => {
    const error = await failure(servers);

    expect(error).toMatchObject({ code: "INVALID_OPTION", issues: [{ field: "servers" }] });
    const shown = isErgonError(error) ? `${error.message} ${JSON.stringify(error.issues)} ${String(error.cause)}` : "";
    expect(shown).toContain(text);
    expect(shown).not.toMatch(PARTS);
  });

  test("no address at all is refused", async () => {
    expect(await failure([])).toMatchObject({ code: "INVALID_OPTION" });
  });
});

describe("an address of a server", () => {
  test.for([
    ["nats://joe:sec%2Cret%25@127.0.0.1:1", "127.0.0.1:1"],
    ["joe:secret@127.0.0.1:1", "127.0.0.1:1"],
    ["nats://127.0.0.1:1/", "127.0.0.1:1"],
    ["127.0.0.1:1, nats://joe:secret@127.0.0.1:2", "127.0.0.1:1, 127.0.0.1:2"],
  ])("%s is named without its user when nobody is there", async ([servers = "", where]) => {
    const error = await failure(servers);

    expect(error).toMatchObject({ code: "NATS_UNREACHABLE" });
    expect(String(error)).toContain(where);
    expect(String(error)).not.toMatch(PARTS);
  });
});
