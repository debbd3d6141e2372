/** What the console uses of `htm/preact/standalone`, which brings no types of Preact with it. */
export type Child = unknown;
export type Inputs = readonly unknown[];
/** May return how to undo it. */
type Effect = () => unknown;

export function h(type: unknown, props: object | null, ...children: Child[]): unknown;
// biome-ignore lint/suspicious/noExplicitAny: whatever a component may render
export function html(strings: TemplateStringsArray, ...values: unknown[]): any;
export function render(tree: unknown, parent: Element): void;
export function createContext<T>(value: T): { Provider: unknown };
export function useState<S>(initial: S | (() => S)): [S, (value: S | ((was: S) => S)) => void];
export function useReducer<S, A>(
  reduce: (state: S, action: A) => S,
  initial: S,
): [S, (action: A) => void];
export function useEffect(effect: Effect, inputs?: Inputs): void;
export function useLayoutEffect(effect: Effect, inputs?: Inputs): void;
export function useRef<T>(initial: T): { current: T };
export function useMemo<T>(make: () => T, inputs: Inputs): T;
export function useCallback<T>(callback: T, inputs: Inputs): T;
export function useContext(context: { Provider: unknown }): unknown;
export function useErrorBoundary(onError?: (error: unknown) => void): [unknown, () => void];
export class Component<Props = object, State = object> {
  props: Props;
  state: State;
  constructor(props: Props);
  setState(state: Partial<State>): void;
  render(): unknown;
}
