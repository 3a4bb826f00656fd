import { defineConfig, type OxlintOverride } from "oxlint";

/** What each folder of a package may import from its siblings. */
type Layers = Readonly<Record<string, readonly string[]>>;

/** Of packages/core/src; `base` is at the bottom. */
const coreLayers: Layers = {
  base: [],
  actor: ["base"],
  task: ["actor", "base"],
  wire: ["task", "actor", "base"],
  machines: ["wire", "task", "actor", "base"],
  views: ["machines", "wire", "task", "base"],
  coordinator: ["machines", "wire", "task", "actor", "base"],
  plan: ["coordinator", "views", "machines", "wire", "task", "actor", "base"],
  schedule: ["plan", "coordinator", "views", "machines", "wire", "task", "actor", "base"],
  ports: ["wire", "base"],
  memory: ["ports", "wire", "base"],
  nats: ["ports", "wire", "base"],
  client: ["schedule", "plan", "views", "machines", "wire", "ports", "task", "base"],
  testing: ["memory", "ports", "views", "machines", "wire", "task", "actor", "base"],
};

/** Of packages/node/src; `shard` is at the bottom. The files beside the folders put them together. */
const nodeLayers: Layers = {
  shard: [],
  membership: ["shard"],
  dispatch: ["membership", "shard"],
  instances: ["dispatch", "shard"],
  supervisor: ["membership", "shard"],
  serve: ["dispatch", "membership", "shard"],
  "nats-server": [],
  cli: ["nats-server"],
};

interface Ban {
  group: string[];
  message: string;
}

const bans = {
  nats: { group: ["@nats-io/*"], message: "Only core/src/nats talks to NATS." },
  upwards: { group: ["@ergon/agents", "@ergon/node"], message: "core knows neither agents nor node." },
  node: { group: ["@ergon/node"], message: "agents do not know the node." },
  timers: { group: ["node:timers", "node:timers/*"], message: "Take the Clock." },
  shipped: { group: ["./drivers/**"], message: "The SDK does not know the drivers that are shipped with it." },
  internals: {
    group: ["**/packages/**", "@ergon/*/src/**", "@ergon/*/dist/**"],
    message: "Import a package by its public entries.",
  },
} satisfies Record<string, Ban>;

/** An override replaces a rule as a whole, so each folder is given all of its bans at once. */
const importBans = (files: string[], ...patterns: Ban[]): OxlintOverride => ({
  files,
  rules: { "eslint/no-restricted-imports": ["error", { patterns }] },
});

/** Each folder imports from those below it only; `bansOf`: what else it may not import. */
const layerBans = (name: string, layers: Layers, roots: string[], bansOf: (layer: string) => Ban[]): OxlintOverride[] =>
  Object.entries(layers).map(([layer, below]) => {
    const above = Object.keys(layers).filter((other) => other !== layer && !below.includes(other));
    const ladder: Ban = {
      group: [...above.map((other) => `**/${other}/**`), ...roots.map((file) => `../${file}`)],
      message: `${layer}/ may import ${below.length === 0 ? "no other folder" : `only ${below.join(", ")}`} of ${name}.`,
    };
    return importBans([`packages/${name}/src/${layer}/**`], ladder, ...bansOf(layer));
  });

const coreBans = layerBans("core", coreLayers, ["index.ts", "testing.ts"], (layer) =>
  layer === "nats" ? [bans.upwards] : [bans.upwards, bans.nats, bans.timers],
);
const nodeBans = layerBans(
  "node",
  nodeLayers,
  ["index.ts", "testing.ts", "node.ts", "node-{actors,service}.ts", "readiness.ts", "start-node.ts"],
  (layer) => (layer === "cli" || layer === "nats-server" ? [bans.nats] : [bans.nats, bans.timers]),
);

/** Time and chance come in by ports, so that a test can hold them. */
const ambient: OxlintOverride = {
  files: [
    "packages/core/src/{base,actor,task,wire,machines,coordinator,views,plan,client,memory}/**",
    "packages/agents/src/**",
    "packages/node/src/**",
  ],
  excludeFiles: [
    "packages/core/src/base/{clock,plain,random}.ts",
    "packages/agents/src/drivers/**",
    "packages/node/src/{cli,nats-server}/**",
  ],
  rules: {
    "eslint/no-restricted-globals": [
      "error",
      { name: "Date", message: "Take the Clock; base/clock.ts reads and writes times." },
      { name: "setInterval", message: "Take the Clock." },
      { name: "setTimeout", message: "Take the Clock." },
    ],
    "eslint/no-restricted-properties": [
      "error",
      { object: "Math", property: "random", message: "Take the Random." },
      { object: "performance", property: "now", message: "Take the Clock." },
    ],
  },
};

export default defineConfig({
  plugins: ["eslint", "typescript", "unicorn", "oxc", "import", "promise", "vitest"],
  categories: { correctness: "error" },
  options: { denyWarnings: true, reportUnusedDisableDirectives: "error", typeAware: true },
  ignorePatterns: ["**/dist/**", "coverage/**"],
  rules: {
    "eslint/eqeqeq": "error",
    "eslint/max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
    "eslint/no-console": "error",
    // tsc finds these.
    "eslint/no-unused-vars": "off",
    "eslint/no-var": "error",
    "eslint/prefer-const": ["error", { ignoreReadBeforeAssign: true }],
    "import/no-cycle": ["error", { ignoreTypes: true }],
    "import/no-self-import": "error",
    "typescript/consistent-type-imports": "error",
    "typescript/no-explicit-any": "error",
    "typescript/no-floating-promises": "error",
    "typescript/no-misused-promises": "error",
    "typescript/only-throw-error": "error",
    // A `default` says that the rest is meant.
    "typescript/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    // Copying a collection that the loop changes is no mistake.
    "unicorn/no-useless-spread": "off",
  },
  overrides: [
    importBans(["packages/core/src/*.ts"], bans.upwards, bans.nats),
    ...coreBans,
    importBans(["packages/agents/src/*.ts"], bans.node, bans.nats, bans.timers, bans.shipped),
    importBans(["packages/agents/src/index.ts"], bans.node, bans.nats, bans.timers),
    importBans(["packages/agents/src/drivers/**"], bans.node, bans.nats),
    importBans(["packages/node/src/*.ts"], bans.nats, bans.timers),
    ...nodeBans,
    importBans(["test/**", "examples/**"], bans.internals),
    ambient,
    // Types too: a file whose types circle cannot be read alone.
    {
      files: ["packages/*/src/**"],
      rules: { "import/no-cycle": ["error", { ignoreTypes: false }] },
    },
    {
      files: ["test/**"],
      rules: {
        // Vitest's fixtures need `({}, …)`, and an extended `test` is a test.
        "eslint/no-empty-pattern": "off",
        "vitest/no-standalone-expect": "off",
      },
    },
    {
      files: ["examples/**", "packages/node/src/cli/**", "scripts/**", "test/bench/**"],
      rules: { "eslint/no-console": "off" },
    },
  ],
});
