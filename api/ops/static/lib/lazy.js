/** A component of a module that is loaded on demand; an error in it stays within its place. */
import { html, useEffect, useErrorBoundary, useState } from './html.js';
import { Loading, Trouble } from './ui.js';

/**
 * @param {{load: () => Promise<Record<string, any>>, name: string, props?: object}} options
 */
export function Lazy({ load, name, props = {} }) {
  const [Part, setPart] = useState(/** @type {{type: any} | null} */ (null));
  const [failure, setFailure] = useState(/** @type {unknown} */ (null));
  const [error, tryAgain] = useErrorBoundary((thrown) => console.error(thrown));
  useEffect(() => {
    let isShown = true;
    load().then(
      (module) => isShown && setPart({ type: module[name] }),
      (reason) => isShown && setFailure(reason),
    );
    return () => {
      isShown = false;
    };
  }, [load]);
  if (error) {
    return html`<${Trouble} onRetry=${tryAgain}>
      This part of the page broke: ${error instanceof Error ? error.message : String(error)}
    <//>`;
  }
  if (failure) {
    return html`<${Trouble} onRetry=${() => location.reload()}>
      This part of the page could not be loaded.
    <//>`;
  }
  return Part ? html`<${Part.type} ...${props} />` : html`<${Loading} />`;
}
