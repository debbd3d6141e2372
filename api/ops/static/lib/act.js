/** Actions of operators: a button that makes a call, asks first if it hurts, and shows the result. */
import { Refusal } from './calls.js';
import { html, useEffect, useRef, useState } from './html.js';
import { useModal } from './modal.js';
import { session } from './page-facts.js';

/**
 * The API's sentence, beside the refused action.
 * @param {{refusal: unknown}} props
 */
export function Refused({ refusal }) {
  if (!refusal) return null;
  const text = refusal instanceof Refusal ? refusal.sentence : String(refusal);
  return html`<span class="refused" role="alert"><span aria-hidden="true">✕</span> ${text}</span>`;
}

/**
 * Asks before an action. Esc and "Keep it as it is" close it.
 * @param {{title: string, verb: string, danger?: boolean, children?: unknown,
 *   onConfirm: () => void, onClose: () => void}} props
 */
export function Confirm({ title, verb, danger = true, children, onConfirm, onClose }) {
  const dialog = useModal();
  /** @param {Event} event */
  const confirm = (event) => {
    event.preventDefault();
    onClose();
    onConfirm();
  };
  return html`<dialog ref=${dialog} class="confirm" aria-label=${title} onClose=${onClose}>
    <form method="dialog" onSubmit=${confirm}>
      <h2>${title}</h2>
      ${children}
      <p class="buttons">
        <button type="button" onClick=${onClose}>Keep it as it is</button>
        <button class=${danger ? 'danger' : 'main'} autofocus>${verb}</button>
      </p>
    </form>
  </dialog>`;
}

/**
 * A button that makes a call. With `confirm` it asks first. `pressed` lets a key press it:
 * each other number presses it once.
 * @param {{call: () => Promise<unknown>, children: unknown, label?: string, kind?: 'main' | 'danger' | '',
 *   confirm?: {title: string, text: unknown, verb: string}, disabled?: boolean, pressed?: number,
 *   onDone?: (answer: any) => void, onRefused?: () => void}} props
 */
export function Act({
  call,
  children,
  label,
  kind = '',
  confirm,
  disabled,
  pressed = 0,
  onDone,
  onRefused,
}) {
  const [isAsking, ask] = useState(false);
  const [isRunning, setRunning] = useState(false);
  const [refusal, setRefusal] = useState(/** @type {unknown} */ (null));
  const cannot = !session.mayAct;
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  // An action that no longer fits leaves the page: who works by keyboard must not begin at its top again.
  useEffect(
    () => () => {
      if (button.current === document.activeElement) {
        document.getElementById('page')?.focus({ preventScroll: true });
      }
    },
    [],
  );
  const run = async () => {
    setRunning(true);
    setRefusal(null);
    try {
      const answer = await call();
      onDone?.(answer);
    } catch (error) {
      setRefusal(error);
      onRefused?.();
    } finally {
      setRunning(false);
    }
  };
  const press = () => {
    if (cannot || disabled || isRunning) return;
    if (confirm) ask(true);
    else void run();
  };
  useEffect(() => {
    if (pressed > 0) press();
  }, [pressed]);
  return html`<span class="act">
    <button
      ref=${button}
      type="button"
      class=${kind}
      aria-label=${label}
      aria-busy=${isRunning}
      disabled=${cannot || disabled}
      title=${cannot ? 'Viewers look, operators act' : undefined}
      onClick=${press}
    >${children}${isRunning && '…'}</button>
    <${Refused} refusal=${refusal} />
    ${
      isAsking &&
      confirm &&
      html`<${Confirm} title=${confirm.title} verb=${confirm.verb} danger=${kind === 'danger'}
        onConfirm=${run} onClose=${() => ask(false)}>${confirm.text}<//>`
    }
  </span>`;
}
