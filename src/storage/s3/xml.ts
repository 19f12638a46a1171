// The XML that S3 speaks: read into a small tree, with bounds, since a bucket's answers are not to be trusted.
// No document type, so no entities but XML's own five.

import { SaxesParser } from "saxes";

export type Element = {
  readonly name: string;
  /** Text of this element alone, without that of its children. */
  readonly text: string;
  readonly children: readonly Element[];
};

/** S3's deepest answer has 4 levels. */
const MAX_DEPTH = 8;

/** A page of 1000 keys has about 10 elements each. */
const MAX_ELEMENTS = 50_000;

type Building = { readonly name: string; text: string; readonly children: Building[] };

/** Reads a whole document; throws an Error that says what is wrong with it. */
export function parseXml(bytes: Uint8Array): Element {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  const parser = new SaxesParser({ position: false });
  const open: Building[] = [];
  let root: Building | undefined;
  let count = 0;

  parser.on("error", (error) => {
    throw error;
  });
  parser.on("doctype", () => {
    throw new Error("a document type");
  });
  parser.on("opentag", ({ name }) => {
    count += 1;
    if (count > MAX_ELEMENTS) throw new Error(`more than ${MAX_ELEMENTS} elements`);
    if (open.length === MAX_DEPTH) throw new Error(`more than ${MAX_DEPTH} levels`);
    const element: Building = { name, text: "", children: [] };
    open.at(-1)?.children.push(element);
    root ??= element;
    open.push(element);
  });
  const addText = (text: string) => {
    const element = open.at(-1);
    if (element !== undefined) element.text += text;
  };
  parser.on("text", addText);
  parser.on("cdata", addText);
  parser.on("closetag", () => {
    open.pop();
  });

  parser.write(text.replace(/^\s+/, "")).close(); // S3 sends white space to keep a connection open while it works
  if (root === undefined) throw new Error("no element");
  return root;
}

export function child(element: Element, name: string): Element | undefined {
  return element.children.find((found) => found.name === name);
}

export function childText(element: Element, name: string): string | undefined {
  return child(element, name)?.text;
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"\r\n\t]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
