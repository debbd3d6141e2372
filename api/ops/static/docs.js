/* Swagger UI has a dark theme of its own, switched by the console's choice. */
const chosen = localStorage.getItem('muster-theme');
const isDark = chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
document.documentElement.classList.toggle('dark-mode', isDark);
