/** `/asyncapi`: the feed's document (`/asyncapi.json`) as a page, made of the same schemas. */
import { escapeHtml, htmlPage } from './page.ts';

/** The parts of a JSON schema that are used. */
interface Schema {
  type?: string;
  description?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  items?: Schema | Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  format?: string;
}

export interface FeedDocument {
  info: { description: string };
  channels: {
    feed: { address: string; messages: Record<string, { name: string; payload: Schema }> };
  };
  operations: Record<'receive' | 'send', { summary: string; messages: { $ref: string }[] }>;
  'x-close-codes': Record<string, string>;
}

export function feedPage(base: string, document: FeedDocument): string {
  const { info, channels, operations } = document;
  const codes = Object.entries(document['x-close-codes']).map(([code, meaning]) => [
    `<code>${code}</code>`,
    withCode(meaning),
  ]);
  return htmlPage(
    base,
    'The live feed',
    `<p>${withCode(info.description)}</p>
<p>Connect to <code>${escapeHtml(channels.feed.address)}</code>. A frame is
<code>{"event": …, "data": …, "ref"?: …}</code>; a frame with a <code>ref</code> is answered with
<code>ack</code>. For machines: <a href="${base}/asyncapi.json">asyncapi.json</a>. The calls:
<a href="${base}/docs">API</a>.</p>
${Object.values(operations)
  .map(({ summary, messages }) => chapter(summary, messages, channels.feed.messages))
  .join('')}
<h2>How it ends</h2>
${table(['Code', 'Meaning'], codes)}`,
  );
}

function chapter(
  title: string,
  refs: readonly { $ref: string }[],
  messages: FeedDocument['channels']['feed']['messages'],
): string {
  const parts = refs.map(({ $ref }) => {
    const message = messages[$ref.split('/').at(-1) ?? ''];
    const data = message?.payload.properties?.data;
    return message && data ? frame(message.name, data) : '';
  });
  return `<h2>${escapeHtml(title)}</h2>${parts.join('')}`;
}

function frame(name: string, data: Schema): string {
  const rows = Object.entries(data.properties ?? {}).map(([field, schema]) => [
    `<code>${escapeHtml(field)}${data.required?.includes(field) ? '' : '?'}</code>`,
    escapeHtml(wordOf(schema)),
    withCode(noteOf(schema)),
  ]);
  const told = data.description === undefined ? '' : `<p>${withCode(data.description)}</p>`;
  const what = data.properties
    ? rows.length > 0
      ? table(['Field', 'Type', ''], rows)
      : '<p class="quiet">No fields.</p>'
    : `<p><code>data</code>: ${escapeHtml(wordOf(data))}</p>`;
  return `<h3><code>${escapeHtml(name)}</code></h3>${told}${what}`;
}

/** Several frames carry whole jobs: their fields are listed only once. */
const isJob = ({ properties }: Schema) => properties?.total_price !== undefined;

/** A type in a few words. */
function wordOf(schema: Schema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => String(one)).join(' | ');
  if (schema.anyOf) return schema.anyOf.map(wordOf).join(' or ');
  if (Array.isArray(schema.items)) return `[${schema.items.map(wordOf).join(', ')}]`;
  if (schema.type === 'array') return `list of ${wordOf(schema.items ?? {})}`;
  if (isJob(schema)) return 'Job';
  if (schema.properties) return `{${Object.keys(schema.properties).join(', ')}}`;
  return schema.format === 'date-time' ? 'time' : (schema.type ?? 'any');
}

function noteOf({ description, minimum, maximum, maxLength }: Schema): string {
  const limits = [
    minimum !== undefined && `at least ${minimum}`,
    maximum !== undefined && `at most ${maximum}`,
    maxLength !== undefined && `at most ${maxLength} characters`,
  ].filter((limit) => limit !== false);
  return [description, limits.join(', ')].filter(Boolean).join('; ');
}

/** Text between backticks is code. */
function withCode(text: string): string {
  return escapeHtml(text).replace(/`([^`]*)`/g, '<code>$1</code>');
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = heads.map((text) => `<th>${text}</th>`).join('');
  const body = rows.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join('')}</tr>`);
  return `<table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table>`;
}
