/* Says on the queues' dashboard when Redis does not answer: the dashboard itself keeps its old counts. */
const PERIOD_MS = 2000;
const answersUrl = new URL('answers', document.baseURI);
const alertBox = document.createElement('div');
alertBox.style.cssText =
  'position: fixed; z-index: 9999; inset: 0 0 auto; padding: 0.7rem 1rem; text-align: center; ' +
  'background: #b42318; color: #fff';
alertBox.setAttribute('role', 'alert');
alertBox.hidden = true;
document.body.append(alertBox);

function tell(text) {
  if (alertBox.textContent !== text) alertBox.textContent = text;
  alertBox.hidden = text === '';
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
void look();
