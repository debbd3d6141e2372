/*
 * The console's frame around the queues' dashboard: gives it the console's colours, and says when Redis
 * does not answer, as the dashboard itself keeps its old counts then. Loaded before the dashboard.
 */
const PERIOD_MS = 2000;
const answersUrl = new URL('answers', document.baseURI);

/** Where the dashboard keeps its settings, and the version of their format. */
const SETTINGS = 'board-settings';
const SETTINGS_VERSION = 2;

function takeTheme() {
  const chosen = localStorage.getItem('muster-theme');
  const isDark = chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  const stored = JSON.parse(localStorage.getItem(SETTINGS) ?? '{}');
  const state = { ...stored.state, theme: isDark ? 'dark' : 'light' };
  localStorage.setItem(SETTINGS, JSON.stringify({ state, version: SETTINGS_VERSION }));
  document.documentElement.classList.toggle('dark-mode', isDark);
}
takeTheme();

function tell(text) {
  const trouble = document.getElementById('trouble');
  if (trouble.textContent !== text) trouble.textContent = text;
  trouble.hidden = text === '';
}

async function look() {
  try {
    const answer = await fetch(answersUrl);
    if (answer.ok) {
      const { redis } = await answer.json();
      tell(redis ? '' : 'Redis does not answer: what this page shows is old, or missing.');
    } else {
      tell(answer.status === 401 ? 'You are signed out.' : 'The server cannot answer now.');
    }
  } catch {
    tell('The server does not answer: what this page shows is old.');
  }
  setTimeout(look, PERIOD_MS);
}
document.addEventListener('DOMContentLoaded', look);
