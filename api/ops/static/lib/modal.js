/** Dialogs in front of the page. */
import { useEffect, useRef } from './html.js';

/**
 * Shows a dialog in front of the page as long as its component is shown; then the focus returns to where
 * it was.
 * @returns {{current: HTMLDialogElement | null}} belongs to the dialog
 */
export function useModal() {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    // Only a dialog that is closed gives the focus back, not one that is removed.
    return () => shown?.close();
  }, []);
  return dialog;
}
