import { readFileSync } from "node:fs";
import path from "node:path";

import * as agents from "@ergon/agents";
import * as core from "@ergon/core";
import * as engine from "@ergon/core/engine";
import * as nats from "@ergon/core/nats";
import * as testing from "@ergon/core/testing";
import * as node from "@ergon/node";
import * as cli from "@ergon/node/cli";
import * as natsServer from "@ergon/node/nats-server";
import { expect, test } from "vitest";

import { root } from "../support/documents.ts";

/** What somebody may import is API: a change of it shows here, and is meant. */
test.for([
  ["@ergon/core", core],
  ["@ergon/core/engine", engine],
  ["@ergon/core/nats", nats],
  ["@ergon/core/testing", testing],
  ["@ergon/agents", agents],
  ["@ergon/node", node],
  ["@ergon/node/cli", cli],
  ["@ergon/node/nats-server", natsServer],
] as const)("%s offers what it is known to offer", ([, module]) => {
  expect(Object.keys(module).toSorted()).toMatchSnapshot();
});

test.for(["core", "agents", "node"])("@ergon/%s has no entries beside those that are meant", (name) => {
  const { exports } = JSON.parse(readFileSync(path.join(root, "packages", name, "package.json"), "utf8")) as {
    exports: object;
  };

  expect(Object.keys(exports)).toMatchSnapshot();
});
