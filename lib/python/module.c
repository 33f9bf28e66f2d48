/* SPDX-License-Identifier: BSD-3-Clause */
#include "module.h"

#include <math.h>
#include <string.h>

unsigned pollux_python_forks;

static void count_fork(void) { pollux_python_forks++; }

PyObject* raise_error(State* state, const pollux_error* error) {
  PyObject* message = PyUnicode_DecodeUTF8(error->message, (Py_ssize_t)strlen(error->message), "replace");
  if (message == NULL) return NULL;
  PyObject* exception = PyObject_CallFunction(state->make_error, "sO", pollux_code_name(error->code), message);
  Py_DECREF(message);
  if (exception == NULL) return NULL;
  PyErr_SetObject((PyObject*)Py_TYPE(exception), exception);
  Py_DECREF(exception);
  return NULL;
}

bool nanoseconds_of(PyObject* seconds, uint64_t* nanoseconds) {
  *nanoseconds = UINT64_MAX;
  if (seconds == Py_None) return true;
  double value = PyFloat_AsDouble(seconds);
  if (value == -1.0 && PyErr_Occurred()) return false;
  if (isnan(value) || value < 0) {
    PyErr_SetString(PyExc_ValueError, "a time has to be a number of seconds, 0 or more");
    return false;
  }
  if (value < 9e9) *nanoseconds = (uint64_t)(value * 1e9);
  return true;
}

PyObject* text_of(State* state, char* text, const pollux_error* error) {
  if (text == NULL) return raise_error(state, error);
  PyObject* string = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
  pollux_text_free(text);
  return string;
}

bool raise_forked(const char* what) {
  PyErr_Format(PyExc_RuntimeError,
               "this %s is of the process that forked this one: open ports in the process that uses them", what);
  return false;
}

PyObject* new_object(PyTypeObject* type) {
  allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
  return allocate(type, 0);
}

void free_object(PyObject* self) {
  PyTypeObject* type = Py_TYPE((PyObject*)self);
  freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
  release(self);
  Py_DECREF((PyObject*)type);
}

static PyObject* module_free(PyObject* module, PyObject* frames) {
  State* state = PyModule_GetState(module);
  /* The context is that of the first frame. */
  Context* context = NULL;
  PyObject* list = PySequence_List(frames);
  if (list == NULL) return NULL;
  if (PyList_Size(list) != 0) {
    PyObject* first = PyList_GetItem(list, 0);
    if (Py_TYPE(first) == state->frame) context = ((Frame*)first)->context;
    Batch batch;
    if (context == NULL || !batch_take(&batch, context, list)) {
      if (context == NULL) PyErr_Format(PyExc_TypeError, "frames are expected, not %R", Py_TYPE(first));
      Py_DECREF((PyObject*)list);
      return NULL;
    }
    pollux_free(NULL, batch.frames, batch.count);
    batch_end(&batch, batch.count);
  }
  Py_DECREF((PyObject*)list);
  Py_RETURN_NONE;
}

static PyObject* import_from(const char* module_name, const char* name) {
  PyObject* module = PyImport_ImportModule(module_name);
  if (module == NULL) return NULL;
  PyObject* object = PyObject_GetAttrString(module, name);
  Py_DECREF(module);
  return object;
}

static bool add_type(PyObject* module, PyType_Spec* spec, PyTypeObject** type) {
  *type = (PyTypeObject*)PyType_FromModuleAndSpec(module, spec, NULL);
  return *type != NULL && PyModule_AddType(module, *type) == 0;
}

static int module_exec(PyObject* module) {
  static bool counts_forks;
  if (!counts_forks) {
    if (pthread_atfork(NULL, NULL, count_fork) != 0) {
      PyErr_NoMemory();
      return -1;
    }
    counts_forks = true;
  }
  State* state = PyModule_GetState(module);
  if (PyModule_AddStringConstant(module, "version", pollux_version()) != 0 ||
      !(state->make_error = import_from("pollux._errors", "make")) ||
      !(state->packet_type = import_from("pollux._values", "PacketType")) ||
      !(state->checksum = import_from("pollux._values", "Checksum")) ||
      !(state->frames = import_from("pollux._aio", "frames")) || !add_type(module, &context_spec, &state->context) ||
      !add_type(module, &port_spec, &state->port) || !add_type(module, &rx_spec, &state->rx) ||
      !add_type(module, &tx_spec, &state->tx) || !add_type(module, &frame_spec, &state->frame))
    return -1;
  return 0;
}

static int module_traverse(PyObject* module, visitproc visit, void* arg) {
  State* state = PyModule_GetState(module);
  Py_VISIT(state->context);
  Py_VISIT(state->port);
  Py_VISIT(state->rx);
  Py_VISIT(state->tx);
  Py_VISIT(state->frame);
  Py_VISIT(state->make_error);
  Py_VISIT(state->packet_type);
  Py_VISIT(state->checksum);
  Py_VISIT(state->frames);
  return 0;
}

static int module_clear(PyObject* module) {
  State* state = PyModule_GetState(module);
  Py_CLEAR(state->context);
  Py_CLEAR(state->port);
  Py_CLEAR(state->rx);
  Py_CLEAR(state->tx);
  Py_CLEAR(state->frame);
  Py_CLEAR(state->make_error);
  Py_CLEAR(state->packet_type);
  Py_CLEAR(state->checksum);
  Py_CLEAR(state->frames);
  return 0;
}

static void module_end(void* module) { module_clear(module); }

static PyMethodDef module_methods[] = {
    {"free", module_free, METH_O, "Frees frames that the program has consumed."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,   .m_name = "pollux._pollux",    .m_size = sizeof(State), .m_methods = module_methods,
    .m_slots = module_slots, .m_traverse = module_traverse, .m_clear = module_clear, .m_free = module_end,
};

PyMODINIT_FUNC PyInit__pollux(void) { return PyModuleDef_Init(&module_definition); }
