// The part of npm's SBOM that a user gets, without what only builds and tests. Pure.
// Source: CycloneDX 1.5, https://cyclonedx.org/docs/1.5/json/

export type Component = {
  readonly "bom-ref": string;
  readonly name: string;
  readonly scope?: string;
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
};

export type Sbom = {
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
};

/** Keeps the packages that are named, and all that they depend on. Throws where one is not in the SBOM. */
export function shippedPart(sbom: Sbom, names: ReadonlySet<string>): Sbom {
  const { metadata, components, dependencies } = sbom;
  const missing = [...names].filter((name) => !components.some((component) => component.name === name));
  if (missing.length > 0) throw new Error(`the SBOM lacks ${missing.join(", ")}`);
  const dependsOn = new Map(dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  const roots = components.filter(({ name }) => names.has(name)).map((component) => component["bom-ref"]);
  const kept = new Set<string>();
  for (const waiting = [...roots]; waiting.length > 0; ) {
    const ref = waiting.pop() ?? "";
    if (kept.has(ref)) continue;
    kept.add(ref);
    waiting.push(...(dependsOn.get(ref) ?? []));
  }
  const root = metadata.component["bom-ref"];
  return {
    ...sbom,
    // npm names it after the directory.
    metadata: { ...metadata, component: { ...metadata.component, name: root.slice(0, root.lastIndexOf("@")) } },
    components: components.filter((component) => kept.has(component["bom-ref"])).map(asShipped),
    dependencies: [{ ref: root, dependsOn: roots }, ...dependencies.filter(({ ref }) => kept.has(ref))],
  };
}

/** npm's mark of what is only there for development: not so of what is bundled. */
const DEVELOPMENT = "cdx:npm:package:development";

function asShipped(component: Component): Component {
  const { properties = [] } = component;
  if (!properties.some(({ name }) => name === DEVELOPMENT)) return component;
  return { ...component, scope: "required", properties: properties.filter(({ name }) => name !== DEVELOPMENT) };
}
