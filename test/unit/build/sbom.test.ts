import { describe, expect, it } from "vitest";
import { type Sbom, shippedPart } from "../../../scripts/release/sbom.ts";

const component = (name: string, isForDevelopment = false) => ({
  "bom-ref": `${name}@1.0.0`,
  name,
  scope: isForDevelopment ? "optional" : "required",
  properties: isForDevelopment ? [{ name: "cdx:npm:package:development", value: "true" }] : [],
});

const depends = (name: string, ...on: readonly string[]) => ({
  ref: `${name}@1.0.0`,
  dependsOn: on.map((other) => `${other}@1.0.0`),
});

const sbom: Sbom = {
  metadata: { component: { "bom-ref": "@scope/us@2.0.0", name: "a-directory" } },
  components: [component("driver"), component("bindings"), component("archive", true), component("linter", true)],
  dependencies: [
    { ref: "@scope/us@2.0.0", dependsOn: ["driver@1.0.0", "archive@1.0.0", "linter@1.0.0"] },
    depends("driver", "bindings"),
    depends("bindings", "driver"), // packages may depend on each other
    depends("archive"),
    depends("linter", "driver"),
  ],
};

describe("shippedPart", () => {
  it("keeps what is named, and what that depends on", () => {
    const { components, dependencies } = shippedPart(sbom, new Set(["driver", "archive"]));
    expect(components.map(({ name }) => name)).toEqual(["driver", "bindings", "archive"]);
    expect(dependencies.map(({ ref }) => ref)).not.toContain("linter@1.0.0");
    expect(dependencies[0]).toEqual({ ref: "@scope/us@2.0.0", dependsOn: ["driver@1.0.0", "archive@1.0.0"] });
  });

  it("says of what is bundled that it is not for development only", () => {
    const { components } = shippedPart(sbom, new Set(["archive"]));
    expect(components).toEqual([component("archive")]);
  });

  it("names the package by its own name", () => {
    expect(shippedPart(sbom, new Set()).metadata.component.name).toBe("@scope/us");
  });

  it("fails where a package that ships is not listed", () => {
    expect(() => shippedPart(sbom, new Set(["driver", "unheard-of"]))).toThrow("the SBOM lacks unheard-of");
  });
});
