/** Helpers for inline SVG: scales, ticks at round values, escaping. No script. */

export function escapeHtml(text: string): string {
  const named: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => named[character] ?? character);
}

export function svg(
  width: number,
  height: number,
  title: string,
  parts: readonly string[],
): string {
  const size = `viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}"`;
  return `<svg ${size}>${parts.join('')}</svg>`;
}

/** Round values from 0 to at least `max`, about `wanted` of them: 1, 2 or 5 times a power of ten. */
export function niceTicks(max: number, wanted: number): number[] {
  const rough = Math.max(max, 1e-9) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step =
    [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough) ?? rough;
  const count = Math.max(1, Math.ceil(max / step - 1e-9));
  return Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

/** The same for seconds: 15, 30 s, minutes and hours, as clocks are read. */
export function timeTicks(maxS: number, wanted: number): number[] {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800];
  const step = steps.find((value) => value * wanted >= maxS) ?? 86_400;
  const count = Math.floor(maxS / step + 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => i * step);
}

export function timeLabel(seconds: number): string {
  if (seconds === 0) return '0';
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Number((seconds / 60).toFixed(1))} min`;
  return `${Number((seconds / 3600).toFixed(1))} h`;
}

/** Powers of ten that enclose all values, for a logarithmic axis. */
export function decades(min: number, max: number): number[] {
  const low = Math.floor(Math.log10(Math.max(min, 0.1)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(max, 0.2)) - 1e-9));
  return Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
}

export function shortNumber(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toFixed(1))}M`;
  if (value >= 1000) return `${Number((value / 1000).toFixed(1))}k`;
  return String(Number(value.toPrecision(3)));
}

export function msLabel(ms: number): string {
  return ms >= 1000 ? `${Number((ms / 1000).toPrecision(3))} s` : `${Number(ms.toPrecision(3))} ms`;
}

/** A polyline; a gap where a value is missing. */
export function line(tone: string, points: readonly (readonly [number, number] | null)[]): string {
  let path = '';
  let open = false;
  for (const point of points) {
    if (point) path += `${open ? 'L' : 'M'}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
    // A single point would not be drawn.
    if (point && !open) path += 'h.1';
    open = point !== null;
  }
  return path === '' ? '' : `<path class="line ${tone}" d="${path}"/>`;
}
