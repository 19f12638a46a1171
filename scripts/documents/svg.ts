// Elements of SVG as text. Pure. Source: https://www.w3.org/TR/SVG2/

export type Attributes = Readonly<Record<string, string | number>>;

/** An element around what is given, which is markup already. */
export function element(name: string, attributes: Attributes, ...content: readonly string[]): string {
  const told = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeXml(String(value))}"`);
  const start = `<${name}${told.join("")}`;
  return content.length === 0 ? `${start}/>` : `${start}>${content.join("")}</${name}>`;
}

/** The text as it may stand between tags and in attributes. A control character, which XML can't hold at all, is left out. */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** A whole file: it has a name for those who don't see it, and needs nothing from elsewhere. */
export function svgFile(
  { width, height, title, style }: Record<"width" | "height", number> & Record<"title" | "style", string>,
  lines: readonly string[],
): string {
  const head = {
    xmlns: "http://www.w3.org/2000/svg",
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
  };
  const parts = [element("title", {}, escapeXml(title)), element("style", {}, `\n${escapeXml(style)}`), ...lines];
  return `${element("svg", head, `\n${parts.join("\n")}\n`)}\n`;
}
