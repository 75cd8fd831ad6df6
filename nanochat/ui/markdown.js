// The little Markdown that models write, as DOM nodes: paragraphs, headings, lists, fences, code, bold, italics.
// Text from the model only ever becomes text nodes. No links and no images: a model that was talked into it could
// send what it read to somebody else's server.

const FENCE = /^ {0,3}(`{3,}|~{3,})[^`]*$/;
const HEADING = /^ {0,3}#{1,6}\s+(.+)$/;
const ITEM = /^\s*(?:([-*+])|(\d{1,9})[.)])\s+(.*)$/;
const IS_WORD = /[\p{L}\p{N}]/u;
const MAX_DEPTH = 6;

/** Text -> [{type: "p" | "h", text} | {type: "code", text} | {type: "ul" | "ol", start, items}], plain data. */
export function parseBlocks(text) {
  const blocks = [];
  let open = null; // the paragraph or list that the next line may continue
  let fence = null;
  const add = (block) => (blocks.push(block), block);
  for (const line of text.split("\n")) {
    let match;
    if (fence) {
      const mark = line.trim();
      if (mark.length >= fence.length && mark === fence[0].repeat(mark.length)) fence = null;
      else open.text += (open.isEmpty ? "" : "\n") + line;
      if (fence) open.isEmpty = false;
      else open = null;
    } else if ((match = FENCE.exec(line))) {
      fence = match[1];
      open = add({ type: "code", text: "", isEmpty: true });
    } else if (!line.trim()) {
      if (open?.type === "p") open = null;
    } else if ((match = HEADING.exec(line))) {
      add({ type: "h", text: match[1] });
      open = null;
    } else if ((match = ITEM.exec(line))) {
      const type = match[1] ? "ul" : "ol";
      if (open?.type !== type) open = add({ type, start: Number(match[2] ?? 1), items: [] });
      open.items.push(match[3]);
    } else if (open?.items && /^\s/.test(line)) {
      open.items.push(open.items.pop() + "\n" + line.trim());
    } else if (open?.type === "p") {
      open.text += "\n" + line;
    } else {
      open = add({ type: "p", text: line });
    }
  }
  return blocks;
}

/** Text -> [string | {tag, text} | {tag, children}]. A mark without its partner is text: 2*3*4 stays as it is. */
export function parseInline(text, depth = 0) {
  const spans = [];
  const isHopeless = {}; // marks that have no partner further on
  let plain = "";
  for (let i = 0; i < text.length; ) {
    const span = depth < MAX_DEPTH && "`*_".includes(text[i]) ? spanAt(text, i, isHopeless) : null;
    if (!span) {
      plain += text[i++];
      continue;
    }
    if (plain) spans.push(plain);
    plain = "";
    const inside = text.slice(span.start, span.end);
    const content = span.tag === "code" ? { text: inside } : { children: parseInline(inside, depth + 1) };
    spans.push({ tag: span.tag, ...content });
    i = span.end + span.mark.length;
  }
  return plain ? [...spans, plain] : spans;
}

function spanAt(text, i, isHopeless) {
  const run = /^(`+|\*+|_+)/.exec(text.slice(i, i + 9))[0];
  const mark = run[0] === "`" ? run : run.slice(0, 2);
  const start = i + mark.length;
  const isOpen = mark[0] === "`" || (!IS_WORD.test(text[i - 1] ?? "") && /\S/.test(text[start] ?? " "));
  if (!isOpen || isHopeless[mark]) return null;
  for (let end = text.indexOf(mark, start + 1); end !== -1; end = text.indexOf(mark, end + 1)) {
    const after = text[end + mark.length] ?? "";
    const isClose = after !== mark[0] && (mark[0] === "`" || (/\S/.test(text[end - 1]) && !IS_WORD.test(after)));
    if (isClose) return { tag: mark[0] === "`" ? "code" : mark.length === 2 ? "strong" : "em", mark, start, end };
  }
  isHopeless[mark] = true;
  return null;
}

/** Shows `text` in `node`. Blocks that did not change since the last call keep their nodes, and a selection in them. */
export function renderMarkdown(node, text) {
  const blocks = parseBlocks(text);
  const keys = blocks.map((block) => JSON.stringify(block));
  const old = node.blockKeys ?? [];
  let same = 0;
  while (same < old.length && old[same] === keys[same]) same++;
  while (node.childNodes.length > same) node.lastChild.remove();
  node.append(...blocks.slice(same).map(buildBlock));
  node.blockKeys = keys;
}

function buildBlock(block) {
  const build = (tag, ...children) => {
    const node = document.createElement(tag);
    node.append(...children);
    return node;
  };
  const inline = (text) => parseInline(text).map(buildSpan);
  const buildSpan = (span) =>
    typeof span === "string" ? span : build(span.tag, ...(span.children?.map(buildSpan) ?? [span.text]));
  if (block.type === "code") return build("pre", build("code", block.text));
  if (block.type === "h") return build("h3", ...inline(block.text));
  if (block.type === "p") return build("p", ...inline(block.text));
  const list = build(block.type, ...block.items.map((item) => build("li", ...inline(item))));
  if (block.type === "ol") list.start = block.start;
  return list;
}
