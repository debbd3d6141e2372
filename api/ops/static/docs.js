/* Swagger UI has a dark side of its own: the pages of the console say when. */
const chosen = localStorage.getItem('muster-theme');
const isDark = chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
document.documentElement.classList.toggle('dark-mode', isDark);
